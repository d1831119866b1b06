"""The exchange's REST API as functions from a request and the time to a response."""
