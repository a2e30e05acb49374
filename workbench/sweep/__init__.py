"""Sweeps: many runs from one base profile, on this machine or as jobs for a scheduler. No torch.

    plan.py      a base profile and axes -> jobs, each with a resolved profile
    folder.py    the sweep's folder: queue, claims by rename, what is done
    worker.py    runs jobs as child processes, a slot each
    past.py      what earlier runs in the runs folder already answer
    estimate.py  how long the rest will take, judged from earlier runs
    emit.py      the same jobs as text for a shell, SLURM or SkyPilot
    report.py    tables and JSON

A job is trained by `python -m workbench --headless` in a process of its own: what a sweep does a person could do by
hand, and a crash of one job touches no other.
"""
