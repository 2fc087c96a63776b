package journal

// pageSize is how many neighbouring offsets share a page; a power of two.
const pageSize = 256

// pageOf returns the page of an offset, and its index there.
func pageOf(offset int64) (number, i int64) { return offset &^ (pageSize - 1), offset & (pageSize - 1) }

// finished is a set of requests that takes some nine bytes for each where
// their offsets are close together, as those of a partition are. The zero set
// is empty.
type finished struct {
	pages map[int64]*page  // by their first offset
	twins map[Key]struct{} // a further record at an offset: the topic was created again
	n     int
}

// page holds the timestamp of one finished request for each of its offsets.
type page struct {
	set [pageSize]bool
	at  [pageSize]int64
}

func (f *finished) has(k Key) bool {
	number, i := pageOf(k.Offset)
	if p := f.pages[number]; p != nil && p.set[i] && p.at[i] == k.Timestamp {
		return true
	}
	_, ok := f.twins[k]
	return ok
}

// add takes a request that is not in the set.
func (f *finished) add(k Key) {
	f.n++
	number, i := pageOf(k.Offset)
	p := f.pages[number]
	if p == nil {
		if f.pages == nil {
			f.pages, f.twins = map[int64]*page{}, map[Key]struct{}{}
		}
		p = new(page)
		f.pages[number] = p
	}
	if p.set[i] {
		f.twins[k] = struct{}{}
		return
	}
	p.set[i], p.at[i] = true, k.Timestamp
}
