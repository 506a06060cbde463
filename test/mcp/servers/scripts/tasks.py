"""A server whose tools run as tasks: on its standard streams, or at 127.0.0.1:PORT/mcp."""

import asyncio
import sys

from fastmcp import Context, FastMCP
from fastmcp_tasks import TasksExtension
from fastmcp.utilities.tasks import TaskConfig
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from datetime import timedelta

mcp = FastMCP("tasks")
mcp.add_extension(TasksExtension())
soon = timedelta(milliseconds=100)
counts = 0


@mcp.tool(task=TaskConfig(mode="optional", poll_interval=soon))
async def count(to: int, seconds: float) -> int:
    """Counts, and takes its time."""
    global counts
    counts += 1
    await asyncio.sleep(seconds)
    return to


@mcp.tool
async def counted() -> int:
    """How often something was counted."""
    return counts


@mcp.tool(task=TaskConfig(mode="optional", poll_interval=soon))
async def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


@mcp.tool(task=TaskConfig(mode="optional", poll_interval=soon))
async def confirm(ctx: Context, what: str) -> str | InputRequiredResult:
    """Asks before it does it."""
    answers = ctx.input_responses
    if not answers:
        form = ElicitRequestFormParams(
            message=f"Do {what}?",
            requested_schema={"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]},
        )
        return InputRequiredResult(input_requests={"sure": ElicitRequest(method="elicitation/create", params=form)})
    answer = answers["sure"]
    return f"{what}: {answer.action} {answer.content}"


if len(sys.argv) > 1:
    mcp.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
else:
    mcp.run(show_banner=False)
