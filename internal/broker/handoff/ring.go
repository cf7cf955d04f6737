package handoff

// Ring is a queue in a circular buffer whose length is a power of two. The zero
// value is empty and holds no memory. It is not safe for concurrent use.
type Ring[T any] struct {
	buf  []T
	head int
	n    int
}

const ringMin = 4 // slots of the first buffer

// Len is how many elements there are.
func (r *Ring[T]) Len() int { return r.n }

// Cap is how many slots the buffer has.
func (r *Ring[T]) Cap() int { return len(r.buf) }

// At is the i-th element, counted from the oldest; 0 <= i < Len.
func (r *Ring[T]) At(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// Push appends v, doubling the buffer when it is full.
func (r *Ring[T]) Push(v T) {
	if r.n == len(r.buf) {
		r.resize(max(ringMin, 2*len(r.buf)))
	}
	r.n++
	*r.At(r.n - 1) = v
}

// Pop removes the oldest element; Len > 0.
func (r *Ring[T]) Pop() T {
	slot := r.At(0)
	v := *slot
	var zero T
	*slot = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// Compact gives memory back when most of the buffer is empty.
func (r *Ring[T]) Compact() {
	if r.n == 0 {
		*r = Ring[T]{}
		return
	}
	size := len(r.buf)
	for size > ringMin && size >= 4*r.n {
		size /= 2
	}
	if size != len(r.buf) {
		r.resize(size)
	}
}

// Lend gives an empty Ring without a buffer one to use, whose length is a power
// of two.
func (r *Ring[T]) Lend(buf []T) { r.buf, r.head = buf, 0 }

// Reclaim takes the buffer away from an empty Ring; nil if it has none.
func (r *Ring[T]) Reclaim() []T {
	buf := r.buf
	*r = Ring[T]{}
	return buf
}

// resize moves the elements to a buffer of size slots, size >= n.
func (r *Ring[T]) resize(size int) {
	buf := make([]T, size)
	if r.n > 0 {
		k := copy(buf[:r.n], r.buf[r.head:])
		copy(buf[k:r.n], r.buf)
	}
	r.buf, r.head = buf, 0
}
