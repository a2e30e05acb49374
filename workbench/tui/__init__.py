"""The terminal screen: app, screens, widgets. Reads run directories and cards; never imports torch at import time."""
