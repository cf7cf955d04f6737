package membroker

// ring is a queue in a circular buffer whose length is a power of two. The
// zero value is empty and holds no memory.
type ring[T any] struct {
	buf  []T
	head int
	n    int
}

const ringMin = 4 // slots of the first buffer

// at is the i-th element, counted from the oldest; 0 <= i < n.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// push appends v, doubling the buffer when it is full.
func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		r.resize(max(ringMin, 2*len(r.buf)))
	}
	r.n++
	*r.at(r.n - 1) = v
}

// pop removes the oldest element; n > 0.
func (r *ring[T]) pop() T {
	slot := r.at(0)
	v := *slot
	var zero T
	*slot = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// compact gives memory back when most of the buffer is empty.
func (r *ring[T]) compact() {
	if r.n == 0 {
		*r = ring[T]{}
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

// resize moves the elements to a buffer of size slots, size >= n.
func (r *ring[T]) resize(size int) {
	buf := make([]T, size)
	if r.n > 0 {
		k := copy(buf[:r.n], r.buf[r.head:])
		copy(buf[k:r.n], r.buf)
	}
	r.buf, r.head = buf, 0
}
