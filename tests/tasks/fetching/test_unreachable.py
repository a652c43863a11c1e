"""Which failures are those of a server that was never reached, and which may pass."""

from __future__ import annotations

import socket

import pytest
import requests

from cmbench.tasks.fetching.unreachable import never_connected, reason


def failure(url: str, **options: object) -> requests.RequestException:
    with pytest.raises(requests.RequestException) as caught:
        requests.get(url, timeout=0.2, **options)  # type: ignore[arg-type]
    return caught.value


def test_no_name_no_listener_and_no_proxy_are_not_worth_waiting_for() -> None:
    refused = failure("http://127.0.0.1:9/")
    assert never_connected(refused) == "no connection (Connection refused)"
    assert reason(refused) == "NewConnectionError"
    assert never_connected(failure("http://nowhere.invalid/")) == "its name cannot be resolved"
    proxied = failure("http://example.org/", proxies={"http": "http://127.0.0.1:9"})
    assert never_connected(proxied) == "the proxy does not answer"


def test_a_server_that_lets_wait_or_breaks_off_may_be_better_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = failure(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert never_connected(late) == ""
    assert reason(late) == "no answer in time"
    assert never_connected(requests.ConnectionError("cut")) == ""
