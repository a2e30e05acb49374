"""`cnn-workbench predict RUN IMAGE...`: what a run's network says of image files."""

import json
from pathlib import Path
from typing import Any

from workbench.commands.evaluate import add_model_options, say
from workbench.commands.parsing import add_runs, make_parser, parse, positive, runs_root

EPILOG = """\
examples:
  cnn-workbench predict last cat.jpg dog.png        the newest run, its best weights
  cnn-workbench predict best:vit *.jpg --top 3 --json

exit codes: 0 all were read, 1 some could not be read, 2 none could, or a wrong command line"""


def main(arguments: list[str]) -> int:
    """Print the likeliest classes of each image; returns the exit code."""
    parser = make_parser(
        "cnn-workbench predict",
        description="The likeliest classes of image files, as bars. The middle square of a picture is looked at.",
        epilog=EPILOG,
    )
    parser.add_argument("run", metavar="RUN", help="an id, a unique beginning of it, last, or best:NETWORK")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    add_model_options(parser)
    parser.add_argument("--top", type=positive, metavar="N", default=5, help="classes to show (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    add_runs(parser)
    options = parse(parser, arguments)

    from workbench.runs.store import RunStore

    run = RunStore(runs_root(options)).find(options.run).path

    from workbench.evaluation.model import open_model
    from workbench.evaluation.predict import check_paths, predict
    from workbench.evaluation.render import prediction
    from workbench.inspect.render import show, write
    from workbench.runs.journal import finite

    paths = [Path(name) for name in options.images]
    check_paths(paths)
    model = open_model(run, weights=options.weights, device=options.device, note=say)
    answers: list[dict[str, Any]] = []
    for found in predict(model, paths, options.top):
        if found.error:
            say(f"cnn-workbench: {found.path}: {found.error}")
            answers.append({"file": str(found.path), "error": found.error})
            continue
        pairs = zip(found.classes, found.probabilities, strict=True)
        guesses = finite([{"class": name, "probability": share} for name, share in pairs])
        answers.append({"file": str(found.path), "predictions": guesses})
        if not options.json:
            show(prediction(str(found.path), guesses), wide=True)
    if options.json:
        write(json.dumps({"run": run.name, "weights": model.origin.kind, "images": answers}) + "\n")
    failed = sum("error" in answer for answer in answers)
    return 0 if not failed else 2 if failed == len(answers) else 1
