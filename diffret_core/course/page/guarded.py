"""Two changes to voila: it opens the page with its token, and answers nothing that another site asks for."""

import threading
import webbrowser

from tornado.httputil import HTTPServerRequest
from tornado.routing import Rule
from tornado.web import ErrorHandler
from voila.app import Voila


class CrossSite:
    """Recognises, as one of tornado's matchers, what a browser asks for another site: a link, a picture or a form."""

    def match(self, request: HTTPServerRequest) -> dict | None:
        """Give what a handler is told; None for all that this page, its user or a program asks."""
        return {} if request.headers.get("Sec-Fetch-Site") == "cross-site" else None


def guarded(server: Voila, address: str) -> Voila:
    """Put the refusal of other sites before all that is served, and open the page by its address.

    Args:
        server: Not yet started.
        address: Of the page, with its token. Voila would open it by a file, which a browser takes for another site.
    """
    served = server.init_handlers
    refusal = Rule(CrossSite(), ErrorHandler, {"status_code": 403})  # type: ignore[arg-type]  # all it needs is `match`
    server.init_handlers = lambda: [refusal, *served()]
    server.launch_browser = lambda: threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    return server
