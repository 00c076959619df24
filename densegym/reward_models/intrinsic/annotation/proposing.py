"""Has a language model propose goals in the game's words (ELLM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import Template

from densegym import assets
from densegym.reward_models.llm.structured import checked
from densegym.reward_models.llm.types import Client, LLMError, Message, Request


def propose_goals(
    client: Client, *, model: str, task: str, captions: Sequence[str], most: int = 10
) -> tuple[str, ...]:
    """Return goals; asks once more where a reply is unusable.

    Raises:
        LLMError: two unusable replies, or whoever was asked failed.
    """
    template = Template(assets.text("prompts/caption-goals.md"))
    listed = "\n".join(f"- {caption}" for caption in captions)
    schema = {
        "type": "object",
        "properties": {
            "goals": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": most}
        },
        "required": ["goals"],
    }
    text = template.substitute(task=task, captions=listed, most=most)
    request = Request(
        messages=(Message(role="user", content=text),),
        model=model,
        temperature=0.1,
        schema=schema,
        purpose="goals",
    )
    for attempt in range(2):
        data, problem = checked(client.complete(replace(request, sample=attempt)), schema)
        if data is not None and not problem:
            return tuple(dict.fromkeys(goal.strip().lower() for goal in data["goals"]))
    raise LLMError(f"two replies held no goals: {problem}")
