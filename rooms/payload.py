"""What every payload is made of: strings with bounds, and models that hold nothing else."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain lone surrogates") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""A string that every database and every wire can carry."""
Id = Annotated[Text, Field(min_length=1, max_length=128)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Body = Annotated[Text, Field(min_length=1, max_length=10_000)]


class Payload(BaseModel):
    """What an event says; frozen, and nothing but what its kind declares."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True
    )
