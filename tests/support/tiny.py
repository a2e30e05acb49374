"""A profile that trains in seconds, for runs of real processes: a paper's small network on the embedded digits."""

PROFILE = """[model]
arch = "bn_convnet"
[data]
dataset = "digits"
image_size = {image_size}
batch_size = {batch_size}
[train]
epochs = {epochs}
threads = 1
device = "cpu"
"""


def tiny(epochs: int, image_size: int = 16, batch_size: int = 32, **train: float) -> str:
    """Its text; `train` are more keys of [train], with which it ends."""
    text = PROFILE.format(epochs=epochs, image_size=image_size, batch_size=batch_size)
    return text + "".join(f"{key} = {value}\n" for key, value in train.items())
