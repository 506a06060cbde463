package mcpservers

// SDK is the line of go.mod.
func SDK() string { return sdk + " " + sdkVersion }
