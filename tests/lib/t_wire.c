#include "t_wire.h"
#include <stdlib.h>

const gee_limits t_wire_limits = {
    .head_bytes = 400, .uri_bytes = 100, .headers = 6, .body_bytes = 64};

#define ROW(name, answers, bytes) \
    { name, bytes, sizeof(bytes) - 1, answers }
#define HOST        "Host: t\r\n"
#define GET(fields) "GET /hello/x HTTP/1.1\r\n" HOST fields "\r\n"
#define A_GET       GET("")
/* A POST of "abc", if its framing is taken to be that of a length. */
#define POST(fields, body) "POST /echo HTTP/1.1\r\n" HOST fields "\r\n" body
#define CHUNKED(body)      POST("Transfer-Encoding: chunked\r\n", body)
#define X10                "xxxxxxxxxx"
#define X50                X10 X10 X10 X10 X10
#define X100               X50 X50
#define X400               X100 X100 X100 X100
/* What a smuggler hides behind a request that another server ends elsewhere. */
#define SMUGGLED "0\r\n\r\nGET /hello/smuggled HTTP/1.1\r\nHost: t\r\n\r\n"

const t_wire t_wires[] = {
    /* --- request line --- */
    ROW("a_good_request_is_200", "200 open", A_GET),
    ROW("empty_lines_in_front_are_skipped", "200 open", "\r\n\r\n" A_GET),
    ROW("endless_empty_lines_are_400", "400 close",
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r"
        "\n"),
    ROW("a_line_that_ends_with_LF_alone_is_400", "400 close", "GET /hello/x HTTP/1.1\nHost: t\n\n"),
    ROW("an_empty_line_of_LF_alone_is_400", "400 close", "\n" A_GET),
    ROW("a_TLS_hello_is_400", "400 close", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage"),
    ROW("garbage_is_400", "400 close", "\x00\xff\x80\r\n\r\n"),
    ROW("a_line_of_words_is_400", "400 close", "what is this\r\n\r\n"),
    ROW("one_word_is_400", "400 close", "hello\r\n\r\n"),
    ROW("a_space_in_front_is_400", "400 close", " " A_GET),
    ROW("two_spaces_are_400", "400 close", "GET  /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_tab_is_400", "400 close", "GET\t/hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_space_behind_the_version_is_400", "400 close", "GET /hello/x HTTP/1.1 \r\n" HOST "\r\n"),
    ROW("a_space_in_the_target_is_400", "400 close", "GET /hello/a b HTTP/1.1\r\n" HOST "\r\n"),
    ROW("no_target_is_400", "400 close", "GET HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_unknown_method_is_501", "501 close", "BREW /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_method_in_small_letters_is_501", "501 close", "get /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_method_that_begins_like_one_is_501", "501 close",
        "GETS /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_method_of_RTSP_is_501", "501 close", "DESCRIBE /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("PRI_is_501", "501 close", "PRI /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("SOURCE_is_501", "501 close", "SOURCE /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_method_longer_than_a_head_is_501", "501 close", X400 X10),
    ROW("a_known_method_without_a_route_is_405", "405 open",
        "PURGE /hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("CONNECT_is_501", "501 close", "CONNECT t:80 HTTP/1.1\r\n" HOST "\r\n" A_GET),
    ROW("an_upgrade_that_nobody_offers_is_ignored", "200 200 open",
        GET("Connection: upgrade\r\nUpgrade: websocket\r\n") A_GET),
    ROW("HTTP_0_9_without_a_version_is_400", "400 close", "GET /hello/x\r\n"),
    ROW("HTTP_0_9_is_505", "505 close", "GET /hello/x HTTP/0.9\r\n\r\n"),
    ROW("HTTP_2_0_is_505", "505 close", "GET /hello/x HTTP/2.0\r\n" HOST "\r\n"),
    ROW("the_preface_of_HTTP_2_is_505", "505 close", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ROW("HTTP_1_2_is_served_as_1_1", "200 open", "GET /hello/x HTTP/1.2\r\n" HOST "\r\n"),
    ROW("HTTP_1_10_is_400", "400 close", "GET /hello/x HTTP/1.10\r\n" HOST "\r\n"),
    ROW("http_in_small_letters_is_400", "400 close", "GET /hello/x http/1.1\r\n" HOST "\r\n"),
    ROW("another_protocol_is_400", "400 close", "GET /hello/x ICE/1.0\r\n" HOST "\r\n"),
    ROW("HTTP_1_0_needs_no_Host", "200 close", "GET /hello/x HTTP/1.0\r\n\r\n"),

    /* --- target --- */
    ROW("a_target_too_long_is_414", "414 close", "GET /" X100 " HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_target_longer_than_a_head_is_414", "414 close", "GET /" X400),
    ROW("OPTIONS_of_everything_is_200", "200 200 open", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" A_GET),
    ROW("an_asterisk_for_another_method_is_400", "400 close", "GET * HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_path_without_a_slash_is_400", "400 close", "GET hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_authority_for_another_method_is_400", "400 close", "GET t:80 HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_absolute_target_is_served", "200 open",
        "GET http://t:80/hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("another_scheme_is_400", "400 close", "GET ftp://t/hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_absolute_target_without_Host_is_400", "400 close",
        "GET http://t/hello/x HTTP/1.1\r\n\r\n"),
    ROW("an_absolute_target_without_a_host_is_400", "400 close",
        "GET http:///hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_absolute_target_with_a_user_is_400", "400 close",
        "GET http://me@t/hello/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_fragment_is_400", "400 close", "GET /hello/x#y HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_target_beyond_ASCII_is_400", "400 close",
        "GET /hello/\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_zero_byte_in_the_target_is_400", "400 close",
        "GET /hello/\x00 HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_dot_segment_is_400", "400 open", "GET /hello/../x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_escaped_dot_segment_is_400", "400 open",
        "GET /hello/%2e%2e/x HTTP/1.1\r\n" HOST "\r\n"),
    ROW("a_bad_escape_is_400", "400 open", "GET /hello/%zz HTTP/1.1\r\n" HOST "\r\n"),
    ROW("an_escaped_zero_byte_is_400", "400 open", "GET /hello/%00 HTTP/1.1\r\n" HOST "\r\n"),

    /* --- Host --- */
    ROW("no_Host_is_400", "400 close", "GET /hello/x HTTP/1.1\r\n\r\n"),
    ROW("two_Hosts_are_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ROW("one_Host_twice_is_400", "400 close", GET(HOST)),
    ROW("two_Hosts_in_HTTP_1_0_are_400", "400 close",
        "GET /hello/x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    ROW("an_empty_Host_is_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost:\r\n\r\n"),
    ROW("two_Hosts_in_one_are_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ROW("a_Host_with_a_user_is_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: me@t\r\n\r\n"),
    ROW("a_Host_with_a_path_is_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: t/x\r\n\r\n"),
    ROW("a_Host_with_a_space_is_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ROW("a_Host_of_a_port_alone_is_400", "400 close", "GET /hello/x HTTP/1.1\r\nHost: :80\r\n\r\n"),
    ROW("a_Host_with_a_bad_port_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\nHost: t:8x\r\n\r\n"),
    ROW("a_Host_with_a_port_beyond_65535_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\nHost: t:65536\r\n\r\n"),
    ROW("a_Host_with_two_ports_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\nHost: t:80:80\r\n\r\n"),
    ROW("a_Host_that_is_not_an_address_in_brackets_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\nHost: [::x]\r\n\r\n"),
    ROW("a_Host_in_open_brackets_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    ROW("a_Host_with_a_port_is_served", "200 open",
        "GET /hello/x HTTP/1.1\r\nHost: a-b.example:8080 \r\n\r\n"),
    ROW("a_Host_that_is_an_IPv6_address_is_served", "200 open",
        "GET /hello/x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),

    /* --- fields --- */
    ROW("an_empty_value_is_a_value", "200 open", GET("A:\r\nB: \r\nC:\t x \t\r\n")),
    ROW("a_value_beyond_ASCII_is_served", "200 open", GET("A: \xc3\xa4\r\n")),
    ROW("a_field_without_a_colon_is_400", "400 close", GET("A b\r\n")),
    ROW("a_field_without_a_name_is_400", "400 close", GET(": b\r\n")),
    ROW("a_space_in_front_of_the_colon_is_400", "400 close", GET("A : b\r\n")),
    ROW("a_tab_in_front_of_the_colon_is_400", "400 close", GET("A\t: b\r\n")),
    ROW("a_name_with_a_bad_byte_is_400", "400 close", GET("A(b): c\r\n")),
    ROW("a_name_beyond_ASCII_is_400", "400 close", GET("\xc3\xa4: c\r\n")),
    ROW("a_folded_value_is_400", "400 close", GET("A: b\r\n c\r\n")),
    ROW("a_first_line_that_is_folded_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\n A: b\r\n" HOST "\r\n"),
    ROW("a_zero_byte_in_a_value_is_400", "400 close", GET("A: b\x00\r\n")),
    ROW("a_control_byte_in_a_value_is_400", "400 close", GET("A: b\x01\r\n")),
    ROW("DEL_in_a_value_is_400", "400 close", GET("A: b\x7f\r\n")),
    ROW("CR_in_a_value_is_400", "400 close", GET("A: b\rC: d\r\n")),
    ROW("LF_in_a_value_is_400", "400 close", GET("A: b\nC: d\r\n")),
    ROW("a_head_that_ends_with_LF_alone_is_400", "400 close",
        "GET /hello/x HTTP/1.1\r\n" HOST "\n" A_GET),
    ROW("a_head_too_large_is_431", "431 close", GET("A: " X400 "\r\n")),
    ROW("a_name_too_large_is_431", "431 close", GET(X400)),
    ROW("space_counts_in_a_head", "431 close",
        GET("A:                                                                                "
            "                                                                                  "
            "                                                                                  "
            "                                                                                  "
            "                                                                              b\r\n")),
    ROW("too_many_fields_are_431", "431 close",
        GET("A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\nF: 1\r\n")),
    ROW("another_expectation_is_417", "417 close",
        POST("Expect: tea\r\nContent-Length: 3\r\n", "abc")),
    ROW("an_expectation_without_a_body_is_no_matter", "200 open", GET("Expect: 100-continue\r\n")),
    ROW("an_expectation_of_HTTP_1_0_is_ignored", "200 close",
        "POST /echo HTTP/1.0\r\nExpect: tea\r\nContent-Length: 3\r\n\r\nabc"),

    /* --- the length of the body --- */
    ROW("a_length_is_served", "200 200 open", POST("Content-Length: 3\r\n", "abc") A_GET),
    ROW("a_length_of_zero_is_served", "200 200 open", POST("Content-Length: 0\r\n", "") A_GET),
    ROW("two_lengths_are_400", "400 close",
        POST("Content-Length: 3\r\nContent-Length: 4\r\n", "abc")),
    ROW("one_length_twice_is_400", "400 close",
        POST("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")),
    ROW("a_list_of_lengths_is_400", "400 close", POST("Content-Length: 3, 3\r\n", "abc")),
    ROW("a_length_with_a_plus_is_400", "400 close", POST("Content-Length: +3\r\n", "abc")),
    ROW("a_length_with_a_minus_is_400", "400 close", POST("Content-Length: -3\r\n", "abc")),
    ROW("a_length_with_a_space_is_400", "400 close", POST("Content-Length: 1 3\r\n", "abc")),
    ROW("a_length_in_hex_is_400", "400 close", POST("Content-Length: 0x3\r\n", "abc")),
    ROW("an_empty_length_is_400", "400 close", POST("Content-Length:\r\n", "abc")),
    ROW("a_length_beyond_64_bits_is_400", "400 close",
        POST("Content-Length: 18446744073709551617\r\n", "abc")),
    ROW("a_length_too_large_is_413", "413 close", POST("Content-Length: 65\r\n", X50)),
    ROW("a_length_too_large_is_413_and_not_100", "413 close",
        POST("Expect: 100-continue\r\nContent-Length: 65\r\n", "")),

    /* --- chunks --- */
    ROW("chunks_are_served", "200 200 open",
        CHUNKED("3\r\nabc\r\n0A\r\n" X10 "\r\n0\r\n\r\n") A_GET),
    ROW("extensions_and_trailers_are_skipped", "200 200 open",
        CHUNKED("3;a;b=\"c\" ; \xc3\xa4\r\nabc\r\n0;z\r\nA: b\r\nC:\r\n\r\n") A_GET),
    ROW("a_chunk_without_a_size_is_400", "400 close", CHUNKED("\r\nabc\r\n0\r\n\r\n")),
    ROW("a_chunk_size_that_is_none_is_400", "400 close", CHUNKED("zz\r\n")),
    ROW("a_chunk_size_with_a_sign_is_400", "400 close", CHUNKED("-3\r\nabc\r\n0\r\n\r\n")),
    ROW("a_chunk_size_with_0x_is_400", "400 close", CHUNKED("0x3\r\nabc\r\n0\r\n\r\n")),
    ROW("a_chunk_size_with_a_space_is_400", "400 close", CHUNKED("3 \r\nabc\r\n0\r\n\r\n")),
    ROW("a_chunk_size_beyond_64_bits_is_400", "400 close", CHUNKED("10000000000000003\r\nabc\r\n")),
    ROW("a_chunk_size_of_64_bits_is_413", "413 close", CHUNKED("fffffffffffffff0\r\n" X100)),
    ROW("a_chunk_line_that_ends_with_LF_alone_is_400", "400 close", CHUNKED("3\nabc\r\n0\r\n\r\n")),
    ROW("an_extension_that_ends_with_LF_alone_is_400", "400 close",
        CHUNKED("3;a\nabc\r\n0\r\n\r\n")),
    ROW("a_chunk_longer_than_its_size_is_400", "400 close", CHUNKED("3\r\nabcd\r\n0\r\n\r\n")),
    ROW("a_chunk_that_ends_with_LF_alone_is_400", "400 close", CHUNKED("3\r\nabc\n0\r\n\r\n")),
    ROW("extensions_without_end_are_400", "400 close", CHUNKED("3;" X400 X10)),
    ROW("extensions_of_many_chunks_without_end_are_400", "400 close",
        CHUNKED("1;" X100 "\r\na\r\n1;" X100 "\r\nb\r\n1;" X100 "\r\nc\r\n1;" X100 "\r\nd\r\n")),
    ROW("a_trailer_without_end_is_400", "400 close", CHUNKED("3\r\nabc\r\n0\r\nA: " X400)),
    ROW("a_bad_trailer_is_400", "400 close", CHUNKED("3\r\nabc\r\n0\r\nA b\r\n\r\n")),
    ROW("a_trailer_does_not_frame", "200 200 open",
        CHUNKED("3;x=\"y\"\r\nabc\r\n0;z\r\nContent-Length: 99\r\nHost: u\r\n\r\n") A_GET),
    ROW("chunks_too_large_are_413", "413 close",
        CHUNKED("32\r\n" X50 "\r\n32\r\n" X50 "\r\n0\r\n\r\n")),
    ROW("chunks_in_HTTP_1_0_are_400", "400 close",
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),

    /* --- smuggling: exactly one answer, and never one to what was hidden --- */
    ROW("length_then_chunked_is_400", "400 close",
        POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", SMUGGLED)),
    ROW("chunked_then_length_is_400", "400 close",
        POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", SMUGGLED)),
    ROW("length_and_an_unknown_coding_are_400", "400 close",
        POST("Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", SMUGGLED)),
    ROW("an_unknown_coding_is_501", "501 close", POST("Transfer-Encoding: xchunked\r\n", SMUGGLED)),
    ROW("gzip_is_501", "501 close", POST("Transfer-Encoding: gzip\r\n", SMUGGLED)),
    ROW("gzip_then_chunked_is_501", "501 close",
        POST("Transfer-Encoding: gzip, chunked\r\n", SMUGGLED)),
    ROW("identity_is_501", "501 close", POST("Transfer-Encoding: identity\r\n", SMUGGLED)),
    ROW("chunked_then_gzip_is_400", "400 close",
        POST("Transfer-Encoding: chunked, gzip\r\n", SMUGGLED)),
    ROW("chunked_then_identity_is_400", "400 close",
        POST("Transfer-Encoding: chunked, identity\r\n", SMUGGLED)),
    ROW("chunked_twice_is_400", "400 close",
        POST("Transfer-Encoding: chunked, chunked\r\n", SMUGGLED)),
    ROW("chunked_in_two_fields_is_400", "400 close",
        POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", SMUGGLED)),
    ROW("two_codings_in_two_fields_are_400", "400 close",
        POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", SMUGGLED)),
    ROW("a_coding_in_quotes_is_400", "400 close",
        POST("Transfer-Encoding: \"chunked\"\r\n", SMUGGLED)),
    ROW("a_coding_with_a_parameter_is_400", "400 close",
        POST("Transfer-Encoding: chunked;q=1\r\n", SMUGGLED)),
    ROW("a_coding_with_a_comma_behind_it_is_400", "400 close",
        POST("Transfer-Encoding: chunked,\r\n", SMUGGLED)),
    ROW("a_coding_with_a_comma_in_front_is_400", "400 close",
        POST("Transfer-Encoding: , chunked\r\n", SMUGGLED)),
    ROW("an_empty_coding_is_400", "400 close", POST("Transfer-Encoding:\r\n", SMUGGLED)),
    ROW("a_coding_behind_a_vertical_tab_is_400", "400 close",
        POST("Transfer-Encoding: \x0b"
             "chunked\r\n",
             SMUGGLED)),
    ROW("a_coding_behind_a_zero_byte_is_400", "400 close",
        POST("Transfer-Encoding: \x00"
             "chunked\r\n",
             SMUGGLED)),
    ROW("a_coding_with_a_space_in_front_of_the_colon_is_400", "400 close",
        POST("Transfer-Encoding : chunked\r\n", SMUGGLED)),
    ROW("a_coding_that_is_folded_is_400", "400 close",
        POST("Transfer-Encoding:\r\n chunked\r\n", SMUGGLED)),
    ROW("a_coding_behind_a_folded_line_is_400", "400 close",
        POST("A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", SMUGGLED)),
    ROW("a_coding_behind_CR_is_400", "400 close",
        POST("A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", SMUGGLED)),
    ROW("a_coding_behind_LF_is_400", "400 close",
        POST("A: b\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", SMUGGLED)),
    ROW("chunked_in_capitals_with_spaces_is_served", "200 200 open",
        POST("transfer-encoding:  CHUNKED \t\r\n", "3\r\nabc\r\n0\r\n\r\n") A_GET),

    /* --- pipelining --- */
    ROW("two_good_ones_are_answered_in_front_of_a_bad_one", "200 200 400 close",
        A_GET POST("Content-Length: 3\r\n", "abc") "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" A_GET),
    ROW("two_good_ones_are_answered_in_front_of_garbage", "200 200 400 close",
        A_GET A_GET "\x16\x03\x01" A_GET),
    ROW("nothing_is_answered_behind_a_close", "200 close", GET("Connection: close\r\n") A_GET),
    ROW("a_close_in_other_letters_is_one", "200 close", GET("connection: \tCLOSE \r\n") A_GET),
    ROW("a_close_behind_a_keep_alive_is_one", "200 close",
        GET("Connection: keep-alive\r\nConnection: close\r\n") A_GET),
    ROW("a_close_in_front_of_a_keep_alive_is_one", "200 close",
        GET("Connection: close\r\nConnection: keep-alive\r\n") A_GET),
    ROW("a_close_in_a_list_is_one", "200 close", GET("Connection: te, close\r\n") A_GET),
    ROW("a_close_in_front_of_a_tab_is_one", "200 close", GET("Connection: close\t\r\n") A_GET),
    ROW("a_close_between_tabs_is_one", "200 close", GET("Connection: ,\tclose\t, te\r\n") A_GET),
    ROW("a_close_beside_a_keep_alive_of_HTTP_1_0_is_one", "200 close",
        "GET /hello/x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n" A_GET),
    ROW("what_only_begins_with_close_is_none", "200 200 open", GET("Connection: closed\r\n") A_GET),
    ROW("a_close_for_a_proxy_is_none", "200 200 open", GET("Proxy-Connection: close\r\n") A_GET),
    ROW("a_keep_alive_is_kept", "200 200 open", GET("Connection: Keep-Alive\r\n") A_GET),
    ROW("a_body_that_nobody_reads_is_read_over", "200 200 open",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc" A_GET),
    ROW("what_has_no_content_has_no_length", "204 200 open",
        "GET /empty HTTP/1.1\r\n" HOST "\r\n" A_GET),
};

const size_t t_nwires = sizeof(t_wires) / sizeof(*t_wires);

static void hello(gee_req *req) {
    gee_string(req, 200, "hello %s\n", gee_param(req, "name"));
}

static void echo(gee_req *req) {
    const char *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_data(req, 200, "text/plain", body, n);
}

static void ignore(gee_req *req) {
    gee_string(req, 200, "ignored\n");
}

static void empty(gee_req *req) {
    gee_data(req, 204, "text/plain", "", 0);
}

void t_wire_routes(gee_group *r) {
    gee_GET(r, "/hello/:name", hello);
    gee_GET(r, "/empty", empty);
    gee_POST(r, "/echo", echo);
    gee_POST(r, "/ignore", ignore);
}

int t_wire_main(const char *group, void (*test)(void **state), int argc, char **argv) {
    struct CMUnitTest *tests = calloc(t_nwires, sizeof(*tests));
    for (size_t i = 0; i < t_nwires; i++)
        tests[i] = (struct CMUnitTest){
            .name = t_wires[i].name, .test_func = test, .initial_state = (void *)&t_wires[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = _cmocka_run_group_tests(group, tests, t_nwires, NULL, NULL);
    free(tests);
    return failed;
}
