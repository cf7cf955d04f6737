package httpapi

// RouteNames lists the table of routes as "METHOD /path".
func RouteNames() []string {
	var names []string
	for _, r := range (&API{}).routes() {
		names = append(names, r.method+" "+Prefix+r.path)
	}
	return names
}
