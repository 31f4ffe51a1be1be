"""The design system: each colour is there for light, for dark, and for old phones."""

import re
from pathlib import Path

TOKENS = Path("web/static/design/tokens.css")
COLOUR = r"#[0-9a-f]{6}|rgb\([^)]*\)"


def test_an_old_phone_gets_every_light_colour() -> None:
    css = TOKENS.read_text("utf-8")
    modern = dict(re.findall(rf"(--[\w-]+): light-dark\(({COLOUR}), (?:{COLOUR})\);", css))
    old = css.split("@supports not")[1]
    assert len(modern) == css.count(": light-dark(") - 1 > 30
    assert dict(re.findall(rf"(--[\w-]+): ({COLOUR});", old)) == modern
