"""The views: functions that turn a Trace and its findings into text or bytes."""
