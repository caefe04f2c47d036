/* SPDX-License-Identifier: Apache-2.0 */
/* The small files that `bpctl plugin check` gives a workflow: test patterns, a tone, a sentence. */
#define SAMPLE(name, file)                                                                                             \
    .global sample_##name, sample_##name##_end ; .hidden sample_##name, sample_##name##_end ; sample_##name:           \
    .incbin file ; sample_##name##_end: .byte 0

.section .rodata
SAMPLE(png, "samples/picture.png")
SAMPLE(jpg, "samples/picture.jpg")
SAMPLE(webp, "samples/picture.webp")
SAMPLE(mp4, "samples/video.mp4")
SAMPLE(wav, "samples/sound.wav")
.section .note.GNU-stack,"",%progbits
