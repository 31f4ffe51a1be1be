"""A hub whose wall clock is wrong: `python -m tests.faults.shifted_hub SECONDS`."""

import sys
from datetime import timedelta
from functools import partial

import click

from hub import demo
from hub.app import Hub, create_app, utc_now
from hub.server import HubServer, server_config
from hub.settings import Settings
from hub.telemetry import configure_logs

if __name__ == "__main__":
    shift = timedelta(seconds=float(sys.argv[1]))
    settings = Settings()
    configure_logs(settings.log_level)
    hub = Hub(settings, now=lambda: utc_now() + shift)
    config = server_config(create_app(hub), settings)
    HubServer(config, hub, partial(demo.present, hub, click.echo)).run()
