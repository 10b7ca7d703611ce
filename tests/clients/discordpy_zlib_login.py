"""discordpy_zlib_login: discordpy_login where the library finds no module for zstd."""
import runpy
import sys
from pathlib import Path

sys.modules["zstandard"] = None
runpy.run_path(str(Path(__file__).with_name("discordpy_login.py")), run_name="__main__")
