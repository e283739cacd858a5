"""A network that ends at this machine: whoever imports this can connect to loopback only."""

import ipaddress
import socket
from collections.abc import Callable


def refuse_other_machines(host: object) -> None:
    """Raise for a host that is neither loopback nor its name; None and the empty string mean this machine."""
    if host in {None, "", "localhost", b"localhost"}:
        return
    try:
        is_local = ipaddress.ip_address(host.split("%")[0] if isinstance(host, str) else host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise RuntimeError(f"a test tried to reach {host}: tests use no network")


def guard_lookup(lookup: Callable) -> Callable:
    """Wrap socket.getaddrinfo, whose first argument is a host."""

    def guarded(host: object, *arguments: object, **options: object) -> object:
        refuse_other_machines(host)
        return lookup(host, *arguments, **options)

    return guarded


def guard_connection(connect: Callable) -> Callable:
    """Wrap a method of socket.socket that takes an address: (host, port, ...), or the path of a socket file."""

    def guarded(self: socket.socket, address: object) -> object:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            refuse_other_machines(address[0])
        return connect(self, address)

    return guarded


socket.getaddrinfo = guard_lookup(socket.getaddrinfo)
socket.socket.connect = guard_connection(socket.socket.connect)
socket.socket.connect_ex = guard_connection(socket.socket.connect_ex)
