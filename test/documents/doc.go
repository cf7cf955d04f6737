// Package documents holds the gateway's AsyncAPI and OpenAPI documents against
// the schemas of those who made the formats, and their examples against
// themselves, by tools of Node.js. It is for tests alone.
package documents
