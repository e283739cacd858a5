"""Voila with two changes: it opens the page with its token, and answers nothing that another site asks for."""

import threading
import webbrowser

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import ErrorHandler
from traitlets import Unicode
from voila.app import Voila


class CrossSite(Matcher):
    """Recognises what a browser asks on behalf of another site: a link, a picture or a form there."""

    def match(self, request: HTTPServerRequest) -> dict | None:
        """Give what a handler is told; None for all that this page, its user or a program asks."""
        return {} if request.headers.get("Sec-Fetch-Site") == "cross-site" else None


class Page(Voila):
    """The server of the page.

    Attributes:
        address: Of the page, with its token.
    """

    address = Unicode()

    def launch_browser(self) -> None:
        """Open the page; voila would go by a file, which a browser takes for another site."""
        threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()

    def init_handlers(self) -> list:
        """Put the refusal of other sites before all that is served."""
        return [Rule(CrossSite(), ErrorHandler, {"status_code": 403}), *super().init_handlers()]
