"""What an error becomes on each door."""

import pytest

from hub.close_codes import CLOSE_ON_CUT, CLOSE_ON_JOIN, HTTP_STATUS, CloseCode
from rooms.errors import Code
from rooms.feed import Cut


@pytest.mark.parametrize("code", CloseCode)
def test_codes_from_4500_on_ask_to_come_back(code: CloseCode) -> None:
    assert 4400 <= code < 4600
    assert code.reconnect is (code // 100 == 45)


def test_every_error_has_an_http_status() -> None:
    assert HTTP_STATUS.keys() == set(Code)
    assert all(400 <= status <= 503 for status in HTTP_STATUS.values())


def test_every_cut_has_a_close_code() -> None:
    assert CLOSE_ON_CUT.keys() == set(Cut)


def test_what_the_client_cannot_mend_asks_it_to_come_back() -> None:
    assert CLOSE_ON_JOIN[Code.UNAVAILABLE].reconnect
    assert not CLOSE_ON_JOIN[Code.UNAUTHENTICATED].reconnect
    assert not CLOSE_ON_JOIN[Code.FORBIDDEN].reconnect
