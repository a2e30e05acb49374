"""The commands besides training, a module each with `main(arguments) -> exit code`; `workbench.cli` names them.

A module here parses, calls a room and prints. What it needs is imported when it runs: most commands read run
directories and never load torch.
"""
