import json
import pickle
from dataclasses import asdict

import pytest

from runner.errors import UsageError
from runner.fetch import FetchOptions
from runner.fetch.proxies import Proxies


def test_options_survive_json_and_pickle() -> None:
    options = FetchOptions(headers=("X-Key: 1",), proxy="http://proxy:3128", timeout=2.5)
    assert FetchOptions(**json.loads(json.dumps(asdict(options)))) == options
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(
    "setting",
    [
        {"transport": "telnet"},
        {"connections": 0},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"connect_timeout": 0},
        {"retries": -1},
        {"max_bytes": 0},
        {"per_host": -1},
        {"rate": -1},
        {"max_wait": -1},
        {"user_agent": ""},
        {"user_agent": "x\r\nX-Evil: 1"},
        {"headers": ("nonsense",)},
        {"headers": ("X-Key: 1\r\nX-Evil: 1",)},
        {"headers": ("X-Key: 1\0",)},
        {"headers": ("X Key: 1",)},
        {"headers": (": 1",)},
        {"proxy": "not a proxy"},
        {"proxy": ""},
        {"proxy": "::"},
        {"proxy": "http://host:port"},
        {"transport": "requests", "proxy": "socks5://127.0.0.1:1080"},
    ],
)
def test_settings_that_make_no_sense(setting: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        FetchOptions(**setting)  # type: ignore[arg-type]


def test_given_headers_replace_our_own() -> None:
    pairs = FetchOptions(headers=("accept: image/webp", "X-Key:  1 "), user_agent="cat/1").header_pairs()
    assert pairs == [
        ("User-Agent", "cat/1"),
        ("Accept-Encoding", "identity"),
        ("accept", "image/webp"),
        ("X-Key", "1"),
    ]


def test_the_agent_token_is_the_product_of_the_user_agent() -> None:
    assert FetchOptions().agent_token == "runner"
    assert FetchOptions(user_agent="CatBot/2.0 (+x)").agent_token == "catbot"


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert Proxies(None).choose("http://a.example/") is None
    monkeypatch.setenv("http_proxy", "http://one:1")
    monkeypatch.setenv("all_proxy", "http://two:2")
    monkeypatch.setenv("no_proxy", "b.example")
    proxies = Proxies(None)
    assert proxies.choose("http://a.example/") == "http://one:1"
    assert proxies.choose("https://a.example/") == "http://two:2"
    assert proxies.choose("http://x.b.example:81/") is None
    assert Proxies("http://mine:3").choose("http://b.example/") == "http://mine:3"
