// Package fleet runs several gateways on real Redis servers and looks at them as
// clients, backends and operators do: what the README says of several instances
// is shown here. Instances run in the test's process, but for those that must
// die, which are the built program.
package fleet
