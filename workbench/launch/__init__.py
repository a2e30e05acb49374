"""Starts runs for a person: in a thread of the screen or in a process of their own; and the queue of those that wait.

    orders      what is to be trained
    queue       those that wait, as files in <runs>/.queue
    thread      one in a thread of this process
    detached    one in a process of its own session, which outlives the screen
    worker      `python -m workbench.launch`: trains what waits for such a process, one after the other

Torch is loaded by the thread and the processes, never by whoever asks.
"""
