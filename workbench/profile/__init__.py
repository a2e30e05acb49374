"""What to train: the schema of a profile, reading it from files, variables and flags, and writing it.

    resolved = load("quick", options=read_options(namespace))
    resolved.profile.optim.lr       # the value
    resolved.origin("optim.lr")     # base.toml:12

No torch, no screen, and nothing else of the workbench is imported here.
"""

from workbench.profile.errors import Problem, ProfileError
from workbench.profile.find import builtin_folder, builtin_names, find, recipe_label
from workbench.profile.keys import Key, keys
from workbench.profile.layers import Layer, Origin
from workbench.profile.load import Resolved, load, load_exact
from workbench.profile.save import dump
from workbench.profile.schema import Profile
from workbench.profile.show import check, schema_json, show
from workbench.profile.sources import add_options, read_environment, read_options, suggest_flag

__all__ = [
    "Key",
    "Layer",
    "Origin",
    "Problem",
    "Profile",
    "ProfileError",
    "Resolved",
    "add_options",
    "builtin_folder",
    "builtin_names",
    "check",
    "dump",
    "find",
    "keys",
    "load",
    "load_exact",
    "read_environment",
    "read_options",
    "recipe_label",
    "schema_json",
    "show",
    "suggest_flag",
]
