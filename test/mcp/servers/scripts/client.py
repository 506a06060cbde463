"""A client of tasks: calls TOOL of URL with the JSON ARGUMENTS, agrees to every question, and prints the result."""

import asyncio
import json
import sys

import fastmcp_tasks  # it teaches the client tasks
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult


async def agree(message, response_type, params, context):
    print(json.dumps({"asked": message}), flush=True)
    fields = params.requested_schema.get("properties", {})
    return ElicitResult(action="accept", content={name: True for name, f in fields.items() if f.get("type") == "boolean"})


async def main(url, tool, arguments):
    async with Client(url, elicitation_handler=agree) as client:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        print(json.dumps({
            "text": [block.text for block in result.content if block.type == "text"],
            "structured": result.structured_content,
            "isError": result.is_error,
        }))


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
