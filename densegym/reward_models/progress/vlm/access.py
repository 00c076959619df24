"""The options by which a user reaches a model: a checkpoint on disk, or an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from densegym.errors import RewardError
from densegym.reward_models.progress.vlm.cache import ReplyCache
from densegym.reward_models.progress.vlm.endpoint import EndpointConfig, VisionEndpoint
from densegym.reward_models.progress.vlm.interview import Interview
from densegym.reward_models.progress.vlm.question import Asker


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a vision-language model is, and how long and for how much it may be asked.

    Attributes:
        checkpoint: folder of a released checkpoint, read by transformers without foreign code.
        base_url: of an endpoint instead, e.g. ``"http://127.0.0.1:8000/v1"``.
        served: the model's name at the endpoint.
        key_env: environment variable that holds the endpoint's key.
        deadline_s: seconds that all questions about a batch of pictures may take, second tries
            included; what is missing then abstains.
        give_up_s: seconds of silence after which training stops with an error.
        n_parallel: requests at a time.
        budget_usd: most USD, by the shipped price table.
        budget_calls: most calls.
        cache: file in which replies are kept between runs.
        device: of a checkpoint; "auto" takes a GPU if there is one.
        dtype: of a checkpoint; "auto" is its own on a GPU and float32 on a CPU.
        batch: questions a checkpoint answers at a time.
        still: pairs of pictures that change less are not asked about and abstain; a share of what
            has changed since the episode began. 0 asks about every change.
    """

    checkpoint: str | None = None
    base_url: str | None = None
    served: str | None = None
    key_env: str = "OPENAI_API_KEY"
    deadline_s: float = 30.0
    give_up_s: float = 600.0
    n_parallel: int = 16
    budget_usd: float | None = None
    budget_calls: int | None = None
    cache: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 8
    still: float = 0.0

    def check(self, name: str) -> None:
        """Raise RewardError unless exactly one of the two ways is given."""
        remote = self.base_url is not None or self.served is not None
        if remote == (self.checkpoint is not None):
            raise RewardError(
                f'"{name}" needs a model: either checkpoint="FOLDER" with a released checkpoint, '
                'or base_url="http://127.0.0.1:8000/v1" and served="MODEL" for an endpoint.'
            )
        if remote and self.served is None:
            raise RewardError(f'"{name}" at {self.base_url} needs served="MODEL", its name there')
        if not 0 <= self.still < 1:
            raise RewardError(f"still is a share, at least 0 and below 1; given {self.still}")
        if self.deadline_s <= 0 or self.n_parallel < 1 or self.batch < 1:
            raise RewardError(
                "deadline_s is above 0, n_parallel and batch at least 1; given deadline_s="
                f"{self.deadline_s}, n_parallel={self.n_parallel}, batch={self.batch}"
            )

    def interview(self, architectures: Mapping[str, str], **pixels: int) -> Interview:
        """Return the interview of whoever answers.

        Args:
            architectures: what a checkpoint may be: its model type, and what that is in words.
            **pixels: ``min_pixels`` and ``max_pixels`` of a checkpoint's pictures.

        Raises:
            ProgressBackendError: the checkpoint is missing, damaged, or of another architecture.
        """
        asker = self._asker(architectures, pixels)
        return Interview(asker, ReplyCache(self.cache), still=self.still)

    def _asker(self, architectures: Mapping[str, str], pixels: Mapping[str, int]) -> Asker:
        if self.checkpoint is None:
            return self._endpoint()
        from densegym.reward_models.progress.vlm.generation import CheckpointAsker
        from densegym.reward_models.progress.vlm.loading import open_checkpoint

        opened = open_checkpoint(self.checkpoint, architectures, self.device, self.dtype, **pixels)
        return CheckpointAsker(opened, self.batch)

    def _endpoint(self) -> VisionEndpoint:
        assert self.served is not None
        config = EndpointConfig(
            base_url=self.base_url,
            model=self.served,
            key_env=self.key_env,
            deadline_s=self.deadline_s,
            give_up_s=self.give_up_s,
            n_parallel=self.n_parallel,
            budget_usd=self.budget_usd,
            budget_calls=self.budget_calls,
        )
        return VisionEndpoint(config)
