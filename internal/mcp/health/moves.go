package health

import (
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// The legal moves of the three machines. To stay is always legal.

//nolint:gochecknoglobals // tables that never change
var (
	lifecycleMoves = map[events.MCPLifecycleState][]events.MCPLifecycleState{
		events.MCPInitializing: {events.MCPIdle, events.MCPDegraded, events.MCPShuttingDown},
		events.MCPIdle:         {events.MCPActive, events.MCPBusy, events.MCPDegraded, events.MCPShuttingDown},
		events.MCPActive:       {events.MCPIdle, events.MCPBusy, events.MCPDegraded, events.MCPShuttingDown},
		events.MCPBusy:         {events.MCPActive, events.MCPDegraded, events.MCPShuttingDown},
		events.MCPDegraded:     {events.MCPIdle, events.MCPActive, events.MCPBusy, events.MCPShuttingDown},
		events.MCPShuttingDown: {events.MCPTerminated},
		events.MCPTerminated:   {},
	}
	connectionMoves = map[events.MCPConnectionStatus][]events.MCPConnectionStatus{
		events.MCPDisconnected: {events.MCPConnecting},
		events.MCPConnecting:   {events.MCPConnected, events.MCPConnError, events.MCPDisconnected},
		events.MCPConnected:    {events.MCPDisconnected, events.MCPConnError},
		events.MCPConnError:    {events.MCPConnecting, events.MCPDisconnected},
	}
	healthMoves = map[events.HealthStatus][]events.HealthStatus{
		events.HealthUnknown:      {events.HealthInitializing, events.HealthError, events.HealthDisposing},
		events.HealthInitializing: append(failing(), events.HealthAvailable, events.HealthHealthy),
		events.HealthAvailable:    append(failing(), events.HealthHealthy, events.HealthWarning),
		events.HealthHealthy:      append(failing(), events.HealthWarning),
		events.HealthWarning:      append(failing(), events.HealthAvailable, events.HealthHealthy, events.HealthDegraded),
		events.HealthDegraded:     append(failing(), events.HealthAvailable, events.HealthHealthy),
		events.HealthUnhealthy:    append(failing(), events.HealthDegraded),
		events.HealthUnreachable:  append(failing(), events.HealthDegraded),
		events.HealthCritical:     append(failing(), events.HealthDegraded),
		events.HealthUnavailable:  append(failing(), events.HealthAvailable, events.HealthHealthy),
		events.HealthError:        {events.HealthInitializing, events.HealthDisposing},
		events.HealthDisposing:    {},
	}
)

// failing are the states to which whatever runs may fall.
func failing() []events.HealthStatus {
	return []events.HealthStatus{
		events.HealthUnhealthy, events.HealthUnreachable, events.HealthCritical, events.HealthUnavailable, events.HealthError, events.HealthDisposing,
	}
}

// LegalLifecycle reports whether a lifecycle may follow another.
func LegalLifecycle(from, to events.MCPLifecycleState) bool {
	return from == to || slices.Contains(lifecycleMoves[from], to)
}

// LegalConnection reports whether a connection status may follow another.
func LegalConnection(from, to events.MCPConnectionStatus) bool {
	return from == to || slices.Contains(connectionMoves[from], to)
}

// LegalHealth reports whether a health status may follow another.
func LegalHealth(from, to events.HealthStatus) bool {
	return from == to || slices.Contains(healthMoves[from], to)
}
