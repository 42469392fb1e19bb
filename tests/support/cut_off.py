"""A statement that PostgreSQL cuts off, for fakes of stores."""

from services.runtime.errors import StatementCutOff


def cut_off(*, others_pass: bool = True) -> StatementCutOff:
    """What a store raises for it; whether the store serves others meanwhile."""

    async def answer() -> bool:
        return others_pass

    return StatementCutOff("cut off", answer)
