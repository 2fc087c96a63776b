package scan

import (
	"encoding/binary"
	"slices"

	"github.com/pierrec/lz4/v4"
)

// An lz4 frame's descriptor (LZ4 Frame Format 1.6.1).
const (
	lz4Magic       = 0x184d2204
	lz4Version     = 0x40 // of the flags' 0xc0
	lz4Independent = 0x20 // blocks do not refer to each other
	lz4BlockSum    = 0x10
	lz4Size        = 0x08
	lz4Dictionary  = 0x01
	lz4Plain       = 1 << 31 // of a block's size: the block is not compressed
)

// unlz4 appends an lz4 frame's content to dst. It reports false where the
// frame is not one of independent blocks, as Kafka's clients write them, or is
// damaged: then the general decompressor must decide.
//
// It exists for speed: it skips the frame's checksum, which takes longer than
// decompressing and repeats the batch's CRC, and decompresses the blocks
// straight into dst instead of by way of two buffers.
func unlz4(dst, frame []byte) ([]byte, bool) {
	if len(frame) < 7 || binary.LittleEndian.Uint32(frame) != lz4Magic {
		return nil, false
	}
	flags, blockMax := frame[4], 1<<(8+2*int(frame[5]>>4&7))
	if flags&0xc0 != lz4Version || flags&lz4Independent == 0 || flags&lz4Dictionary != 0 || blockMax < 1<<16 {
		return nil, false
	}
	header, trailer := 7, 0
	if flags&lz4Size != 0 {
		header += 8
	}
	if flags&lz4BlockSum != 0 {
		trailer = 4
	}
	if len(frame) < header {
		return nil, false
	}
	for rest := frame[header:]; ; {
		if len(rest) < 4 {
			return nil, false
		}
		size := binary.LittleEndian.Uint32(rest)
		if size == 0 {
			return dst, true
		}
		n := int(size &^ lz4Plain)
		if len(rest) < 4+n+trailer {
			return nil, false
		}
		block := rest[4 : 4+n]
		rest = rest[4+n+trailer:]
		var ok bool
		if dst, ok = unblock(dst, block, size&lz4Plain != 0, blockMax); !ok {
			return nil, false
		}
	}
}

// unblock appends one block's content.
func unblock(dst, block []byte, plain bool, blockMax int) ([]byte, bool) {
	if plain {
		return append(dst, block...), true
	}
	dst = slices.Grow(dst, blockMax)
	n, err := lz4.UncompressBlock(block, dst[len(dst):len(dst)+blockMax])
	if err != nil {
		return nil, false
	}
	return dst[:len(dst)+n], true
}
