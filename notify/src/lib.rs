//! Delivers alerts: channels, routes, and the loop that works through the notification log.
