/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - libavformat, loaded when it is first needed. With the libraries that only it wants, near 40 of them, it
 * takes as long to load as all else of FFmpeg, and a picture is read and drawn without it.
 */
#ifndef MEDIA_FORMAT_H
#define MEDIA_FORMAT_H

#include <bp/plugin.h>
#include <libavformat/avformat.h>

/* What is called of it. */
#define FORMAT_FUNCTIONS(F)                                                                                            \
    F(av_find_best_stream)                                                                                             \
    F(av_probe_input_buffer2)                                                                                          \
    F(av_read_frame)                                                                                                   \
    F(av_stream_add_side_data)                                                                                         \
    F(av_stream_get_side_data)                                                                                         \
    F(av_write_frame)                                                                                                  \
    F(av_write_trailer)                                                                                                \
    F(avformat_alloc_context)                                                                                          \
    F(avformat_alloc_output_context2)                                                                                  \
    F(avformat_close_input)                                                                                            \
    F(avformat_find_stream_info)                                                                                       \
    F(avformat_free_context)                                                                                           \
    F(avformat_index_get_entries_count)                                                                                \
    F(avformat_index_get_entry)                                                                                        \
    F(avformat_new_stream)                                                                                             \
    F(avformat_open_input)                                                                                             \
    F(avformat_query_codec)                                                                                            \
    F(avformat_write_header)                                                                                           \
    F(avio_closep)                                                                                                     \
    F(avio_open)                                                                                                       \
    F(avio_open2)                                                                                                      \
    F(avio_size)

struct format {
#define FORMAT_MEMBER(name) __typeof__(&name) name;
    FORMAT_FUNCTIONS(FORMAT_MEMBER)
#undef FORMAT_MEMBER
};

/* Filled by the first format_load(). Whoever holds a context of it has called that. */
extern struct format lavf;

/* Any thread, any number of times. BP_FAIL, with the loader's words, where it cannot be loaded. */
int32_t format_load(struct bp_err *err);

#endif
