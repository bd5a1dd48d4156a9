"""Which proxy a URL goes through."""

from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]


class Proxies:
    """The proxy of the options, or else of the environment (``https_proxy``, ``no_proxy`` and so on).

    The environment is read once. A proxy resolves names itself, so only addresses written out in a URL
    can be refused behind one.
    """

    def __init__(self, option: str | None) -> None:
        self._option = option
        self._environment = {} if option else getproxies_environment()

    def choose(self, url: str) -> str | None:
        """URL of the proxy for this URL, or None to go directly."""
        if self._option or not self._environment:
            return self._option
        parts = urlsplit(url)
        proxy = self._environment.get(parts.scheme) or self._environment.get("all")
        if not proxy or proxy_bypass_environment(parts.netloc, self._environment):
            return None
        return proxy
