"""The most confident mistakes of a network, as a contact sheet: what it saw, what that was, what it took it for."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from workbench.base.text import clean
from workbench.data import Split
from workbench.data.augment import to_input
from workbench.evaluation.measure import Outputs

MOST = 64
COLUMNS = 8

CELL = 112
"""Least width of a cell: room for the words below a picture."""
PICTURE = 96
"""Small pictures are enlarged, each pixel to a square, as far as they stay within it."""
LARGEST = 256
"""Larger pictures are reduced to it."""
GAP = 8
LINE = 14

PAPER, INK, WRONG = (255, 255, 255), (40, 40, 40), (176, 32, 32)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction. Class names are safe to show, probabilities 0 to 1."""

    index: int
    """Number of the image in its split."""
    true: str
    predicted: str
    confidence: float
    """What the network gives its prediction."""
    right: float
    """What it gives the true class."""


def find_mistakes(outputs: Outputs, true_names: Sequence[str], names: Sequence[str], most: int = MOST) -> list[Mistake]:
    """The wrong predictions, the most confident first, at most `most`. Those without a probability are left out."""
    confidence = outputs.confidence
    wrong = torch.nonzero((outputs.predicted != outputs.labels) & confidence.isfinite()).flatten()
    order = confidence[wrong].argsort(descending=True, stable=True)[:most]
    right = outputs.probability(outputs.labels)
    return [
        Mistake(
            index=i,
            true=true_names[int(outputs.labels[i])],
            predicted=names[int(outputs.predicted[i])],
            confidence=float(confidence[i]),
            right=float(right[i]),
        )
        for i in wrong[order].tolist()
    ]


def pictures(split: Split, indices: Sequence[int]) -> Tensor:
    """Images of `split` as the network sees them but for the normalisation, uint8 (n, C, S, S) on the host."""
    size, device = split.recipe.image_size, split.recipe.mean.device
    rows = split.rows[torch.tensor(indices, dtype=torch.int64)]
    zero, one = torch.zeros(1, device=device), torch.ones(1, device=device)
    shown = [
        to_input(images, size, zero, one).mul(255).round().clamp(0, 255).to(torch.uint8).cpu()
        for images in split.source.read(rows, [(0, len(indices))])
    ]
    return torch.cat(shown)


def sheet(images: Tensor, mistakes: Sequence[Mistake]) -> bytes:
    """A PNG of the pictures, uint8 (n, C, S, S) with 1 or 3 channels, with both classes and the confidence below each.

    Of another number of channels, the first is shown.
    """
    frames = [_scaled(_as_image(image)) for image in images]
    side = frames[0].width
    width, height = max(side, CELL), side + 3 * LINE + 4
    columns = min(COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    whole = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default()
    for number, (frame, mistake) in enumerate(zip(frames, mistakes, strict=True)):
        left = GAP + number % columns * (width + GAP)
        top = GAP + number // columns * (height + GAP)
        whole.paste(frame, (left, top))
        words = (
            (f"is {mistake.true}", INK),
            (f"said {mistake.predicted}", WRONG),
            (f"{mistake.confidence:.1%} sure", INK),
        )
        for line, (text, colour) in enumerate(words):
            draw.text((left, top + side + 4 + line * LINE), fitted(text, font, width), fill=colour, font=font)
    content = io.BytesIO()
    whole.save(content, "PNG")
    return content.getvalue()


def fitted(text: str, font: Font, width: int) -> str:
    """`text` made safe and cut to `width` pixels; letters that the font has no way to write become question marks."""
    text = clean(text, 200)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow without FreeType has a font of Latin letters
        text = text.encode("latin-1", "replace").decode("latin-1")
    if font.getlength(text) <= width:
        return text
    end = "…" if isinstance(font, ImageFont.FreeTypeFont) else "..."
    while text and font.getlength(text + end) > width:
        text = text[:-1]
    return text + end


def _as_image(image: Tensor) -> Image.Image:
    if image.shape[0] == 3:
        return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return Image.fromarray(image[0].contiguous().numpy()).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    if image.width > LARGEST:
        return image.resize((LARGEST, LARGEST), Image.Resampling.BOX)
    factor = max(PICTURE // image.width, 1)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
