package httpapi

import _ "embed" // the document

//go:embed openapi.json
var openAPI string

// openAPI handles GET /openapi.json.
func (a *API) openAPI(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	return document(openAPI), nil
}
