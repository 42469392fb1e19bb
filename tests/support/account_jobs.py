"""Exports and deletions as a device follows them."""

from __future__ import annotations

from parley.messaging.v1 import accounts_pb2 as accounts

from parley_client.client import Device
from tests.support.waiting import eventually


async def finished(device: Device, job: accounts.Job) -> accounts.Job:
    """The job once it is done."""
    latest = job

    async def is_done() -> bool:
        nonlocal latest
        latest = (await device.account.GetJob(accounts.GetJobRequest(job_id=job.job_id))).job
        return bool(latest.state == accounts.JOB_STATE_DONE)

    await eventually(is_done, what="the job to be done")
    return latest
