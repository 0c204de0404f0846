"""``forge-widgets demo``: real trainings, live in JupyterLab, with one command.

Makes sure that a Jupyter server shows the store, plays its parts one after the other, each in processes of its own, and
follows them in the terminal. Every process that it starts ends with it.
"""

from __future__ import annotations

import argparse

from forge_widgets.cli.arguments import Commands, add_store, port


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="train something real and watch it in JupyterLab",
        description="Four parts, one after the other, live in JupyterLab: a training loop with the hooks; one that fails, and "
        "goes on from its checkpoint; three networks that grok; what the server's HTTP routes tell of all of them. "
        "A running Jupyter server that has forge-widgets and shows the same store is used, else one is started. "
        "Ctrl-C ends what this started.",
    )
    parser.add_argument(
        "--mode",
        choices=("demo", "quick", "integration"),
        default="demo",
        help="demo: about two minutes, memorising long before grokking (default); quick: the same in under half a minute; "
        "integration: an existing training loop of your kind, with the few lines that make it live",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser; the URL is printed anyway")
    parser.add_argument(
        "--exit",
        action="store_true",
        help="end when all is trained instead of on Ctrl-C, with exit code 1 if something failed",
    )
    parser.add_argument("--port", type=port, default=0, help="port of a server that is started (default: a free one)")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from forge_widgets.cli.demo.show import Show

    show = Show(mode=arguments.mode, store_url=arguments.store, port=arguments.port)
    return show.run(browser=not arguments.no_browser, exit_when_done=arguments.exit)
