"""`danqing`, except that every webhook host is this machine: a test has no public name to be called at."""

from danqing.cli.main import app
from danqing.jobs.webhooks import WebhookSender


async def _this_machine(host: str, port: int) -> str:
    return "127.0.0.1"


if __name__ == "__main__":
    defaults = WebhookSender.__init__.__kwdefaults__
    assert "resolve" in defaults
    defaults["resolve"] = _this_machine
    app()
