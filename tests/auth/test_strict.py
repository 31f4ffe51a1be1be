import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.strict import base64url, json_object, to_base64url


@given(st.binary())
def test_what_is_encoded_is_read_back(data: bytes) -> None:
    assert base64url(to_base64url(data)) == data


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n"))
def test_every_octet_string_has_one_spelling(text: str) -> None:
    try:
        data = base64url(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data).decode().rstrip("=") == text


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA==", "AAA=", "AB", "AAB", "A+AA", "A/AA", " AAAA", "AA\nAA", "AAAA\n", "ÄÄÄÄ",
     "AAA\u0661", "AAAA\0", "ＡＡＡＡ", "\ud800AAA"],
)  # fmt: skip
def test_another_spelling_of_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        base64url(text)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b"1", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b"{", "Expecting property name"),
        (b"{}x", "Extra data"),
        (b"{'a':1}", "Expecting property name"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "twice"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":"\xff"}', "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ('{"a":1}'.encode("utf-16"), "utf-8"),
        ('{"a":1}'.encode("utf-16-le"), "Expecting property name"),
        (b'{"a":"\n"}', "control character"),
        (b'{"a":' + b"9" * 5000 + b"}", "limit"),
    ],
)
def test_json_with_two_readings_or_none_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        json_object(data)


def test_an_object_is_read() -> None:
    assert json_object(b' {"a": [1, {"b": "\xc3\xa4"}]} ') == {"a": [1, {"b": "ä"}]}
