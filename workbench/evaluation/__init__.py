"""What a trained network is worth, and what it says: evaluation, predictions and exports of a run that is there.

    model = open_model(run)                             # its best weights, on the device, ready to look at images
    images = open_images(model, split="test")
    outputs = look_at(model, images.split, batch_size=128)
    measures = measure(outputs)

Stands on runs, data and training. Nothing of a run is changed but for what is written under `<run>/evaluation/`.
"""
