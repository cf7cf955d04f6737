package documents

import "testing"

func TestTheAsyncAPIDocumentIsOneAndItsExamplesAreAsItSays(t *testing.T) {
	t.Parallel()
	run(t, "asyncapi", asyncAPI, nil)
}

func TestTheOpenAPIDocumentIsOneAndDescribesAndShowsEverything(t *testing.T) {
	t.Parallel()
	run(t, "openapi", openAPI, nil)
}
