"""SettingsService: the cron schedule of a workspace."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import schedules
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import settings_pb2 as pb


class ScheduleService:
    """Shows and sets schedules."""

    def GetSchedule(self, request: pb.GetScheduleRequest, reading: Reading) -> pb.GetScheduleResponse:
        """Show it."""
        found = schedules.get(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetScheduleResponse, found)

    def SetSchedule(self, request: pb.SetScheduleRequest, tx: Transaction) -> pb.SetScheduleResponse:
        """Set or clear it."""
        workspace_id = fields.identifier(request, "workspace_id")
        schedule, is_synced = schedules.set_schedule(tx, workspace_id=workspace_id, schedule=request.schedule)
        response = message(pb.SetScheduleResponse, schedule)
        response.scheduler_synced = is_synced
        return response
