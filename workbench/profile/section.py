"""What every table of a profile is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the profile. Unknown keys and values of another type are errors, never guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
