"""The views: functions of a Trace and its findings that return text or bytes."""
