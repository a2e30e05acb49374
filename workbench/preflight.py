"""Checks of a profile against the catalogue of networks, before torch is loaded or anything is written."""

import architectures
from workbench.profile import Resolved


def check_network(resolved: Resolved) -> None:
    """ProfileError, at the line where the value came from, for a network, option or image size that cannot be.

    A network of the user's own (`module:callable`) is only known once it is imported.
    """
    model = resolved.profile.model
    if ":" in model.arch:
        return
    try:
        card = architectures.card(model.arch)
        architectures.check_options(model.arch, model.options, card.knobs)
    except ValueError as error:
        option = next((name for name in model.options if f'option "{name}"' in str(error)), None)
        raise resolved.error(f"model.options.{option}" if option else "model.arch", str(error)) from None
    if resolved.profile.data.image_size < card.min_image_size:
        size = resolved.profile.data.image_size
        raise resolved.error(
            "data.image_size", f"{model.arch} needs images of at least {card.min_image_size} px (got {size})"
        )
