/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KMP, the key-management protocol: how software that makes keys (an IKE daemon) hands security
 * associations and policies to bulkheadd, and learns what becomes of them. A message is a header
 * and attributes (type, length, value), in network order; a transport carries whole messages, in
 * order: a Unix socket (SOCK_SEQPACKET), or the disk that a security VM sees.
 *
 *	0      magic            "BKMP"
 *	4      version          1
 *	5      flags            0
 *	6      type             enum kmp_type
 *	8      length           of all of it, in bytes
 *	12     sequence         of requests: each higher than the one before (as serial numbers,
 *	                        RFC 1982); of events: each one more; of answers: 0
 *	16     acknowledgement  of answers: the request's sequence; of EVENT_ACK: the last event's
 *	20     target           0: the host's own ESP
 *	24     attributes       type (16 bits), length of the value (16), value
 *
 * A request has exactly one answer: the one named beside it below, or RESULT, which says why not.
 * Who receives an attribute that it does not know refuses the message, unless KMP_OPTIONAL is set
 * in the attribute's type. A message that is refused has changed nothing.
 *
 *	client                          bulkheadd
 *	HELLO (name, nonce, resumes) →
 *	                              ← CHALLENGE (nonce)
 *	PROOF (proof)                →
 *	                              ← WELCOME (proof, session, grace, event, resumes)
 *
 * Both prove that they have the provisioned secret (kmp_proof()). A name has one session: another
 * HELLO with it that is proven ends the session before, and takes over what that brought, or, when
 * it does not resume, leaves it in force for the time `grace`. So does the loss of a connection.
 * BYE takes all back at once.
 *
 * Events are kept, KMP_EVENTS_MAX at most, and repeated, KMP_EVENT_WINDOW at a time, until they are
 * acknowledged. OVERRUN says that some were lost: LIST tells what there is.
 *
 * Names that begin with kmp_ are the protocol's; those of the client library begin with
 * bulkhead_kmp_. Keys go to bulkheadd and never come back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KMP_MAGIC         0x424b4d50U
#define KMP_VERSION       1
#define KMP_HEADER_SIZE   24
#define KMP_MESSAGE_MAX   16384
#define KMP_NAME_MAX      63 /* letters, digits, . _ - */
#define KMP_TEXT_MAX      255
#define KMP_NONCE_SIZE    32
#define KMP_PROOF_SIZE    32
#define KMP_SECRET_MIN    16 /* bytes */
#define KMP_SECRET_MAX    64
#define KMP_KEY_MAX       64 /* of HMAC-SHA2-512 */
#define KMP_SELECTORS_MAX 32
#define KMP_SPI_MIN       256 /* RFC 4303 section 2.1: those below are reserved */
#define KMP_EVENTS_MAX    256
#define KMP_EVENT_WINDOW  32
#define KMP_OPTIONAL      0x8000 /* of an attribute's type: may be passed over */

/* Who sends it, and what answers it. */
enum kmp_type {
	/* client; */
	KMP_HELLO = 1,          /* CHALLENGE */
	KMP_PROOF = 2,          /* WELCOME */
	KMP_BYE = 3,            /* RESULT */
	KMP_PING = 4,           /* RESULT */
	KMP_GET_SPI = 16,       /* SPI */
	KMP_SA_ADD = 17,        /* RESULT */
	KMP_SA_UPDATE = 18,     /* RESULT: new outer addresses or ports */
	KMP_SA_DELETE = 19,     /* RESULT */
	KMP_SA_QUERY = 20,      /* USAGE */
	KMP_POLICY_ADD = 21,    /* RESULT */
	KMP_POLICY_DELETE = 22, /* RESULT */
	KMP_LIST = 23,          /* SAS */
	KMP_GET_STATS = 24,     /* STATS */
	KMP_EVENT_ACK = 25,     /* nothing */
	KMP_IKE_SEND = 32,      /* RESULT: an IKE message to be sent from one of our addresses */
	/* bulkheadd, to another one on a socket of their own (docs/decisions/0021); RESULT each: */
	KMP_HANDOVER_BEGIN = 48,
	KMP_HANDOVER_VIPA = 49,
	KMP_HANDOVER_TARGET = 50,
	KMP_HANDOVER_SA = 51,
	KMP_HANDOVER_POLICY = 52,
	KMP_HANDOVER_CONNECTIONS = 53,
	KMP_HANDOVER_COMMIT = 54,
	/* bulkheadd; answers: */
	KMP_CHALLENGE = 0x101,
	KMP_WELCOME = 0x102,
	KMP_RESULT = 0x103,
	KMP_SPI = 0x110,
	KMP_USAGE = 0x111,
	KMP_SAS = 0x112,
	KMP_STATS = 0x113,
	/* events: */
	KMP_SA_EXPIRE = 0x201,       /* a lifetime is over; hard: the SA is gone */
	KMP_SA_ACQUIRE = 0x202,      /* a packet needs an SA that is not there */
	KMP_MAPPING_CHANGED = 0x203, /* the peer of a NAT-T SA sends from elsewhere */
	KMP_OVERRUN = 0x204,         /* so many events were lost */
	/* not an event: lost with nobody told, as datagrams are */
	KMP_IKE_RECEIVED = 0x220,
};

enum kmp_attribute {
	KMP_ATTRIBUTE_NAME = 1,
	KMP_ATTRIBUTE_NONCE,
	KMP_ATTRIBUTE_PROOF,
	KMP_ATTRIBUTE_RESUMES, /* 8 bits; of HELLO: 1: the client still knows what it brought; of
				* WELCOME: 1: and so does bulkheadd */
	KMP_ATTRIBUTE_SESSION, /* 32 bits */
	KMP_ATTRIBUTE_GRACE,   /* 32 bits, ms */
	KMP_ATTRIBUTE_EVENT,   /* 32 bits: sequence of the next event */
	KMP_ATTRIBUTE_CODE,    /* 16 bits, enum kmp_code */
	KMP_ATTRIBUTE_TEXT,    /* for people */
	KMP_ATTRIBUTE_SPI,     /* 32 bits */
	KMP_ATTRIBUTE_SOURCE,  /* 4 or 16 bytes */
	KMP_ATTRIBUTE_DESTINATION,
	KMP_ATTRIBUTE_DIRECTION, /* 8 bits */
	KMP_ATTRIBUTE_MODE,      /* 8 bits */
	KMP_ATTRIBUTE_CIPHER,    /* 16 bits, enum kmp_cipher */
	KMP_ATTRIBUTE_CIPHER_KEY,
	KMP_ATTRIBUTE_INTEGRITY, /* 16 bits, enum kmp_integrity */
	KMP_ATTRIBUTE_INTEGRITY_KEY,
	KMP_ATTRIBUTE_FLAGS,         /* 32 bits, enum kmp_sa_flag */
	KMP_ATTRIBUTE_REPLAY_WINDOW, /* 16 bits, packets */
	KMP_ATTRIBUTE_SOURCE_PORT,   /* 16 bits */
	KMP_ATTRIBUTE_DESTINATION_PORT,
	KMP_ATTRIBUTE_REQUEST,   /* 32 bits */
	KMP_ATTRIBUTE_LIFETIME,  /* 40 bytes */
	KMP_ATTRIBUTE_SELECTORS, /* of KMP_SELECTOR_SIZE bytes each */
	KMP_ATTRIBUTE_NEW_SOURCE,
	KMP_ATTRIBUTE_NEW_DESTINATION,
	KMP_ATTRIBUTE_USAGE,    /* 24 bytes */
	KMP_ATTRIBUTE_ACTION,   /* 8 bits */
	KMP_ATTRIBUTE_PRIORITY, /* 32 bits */
	KMP_ATTRIBUTE_IS_HARD,  /* 8 bits */
	KMP_ATTRIBUTE_LOST,     /* 32 bits */
	KMP_ATTRIBUTE_IS_ALL,   /* 8 bits: of all owners */
	KMP_ATTRIBUTE_AFTER,    /* 32 bits: NEXT of the answer before; 0: from the start */
	KMP_ATTRIBUTE_NEXT,     /* 32 bits; 0: that was all */
	KMP_ATTRIBUTE_SAS,      /* of KMP_SA_ENTRY_SIZE bytes each */
	KMP_ATTRIBUTE_STATS,    /* 64 bits each, in the order of struct kmp_stats */
	KMP_ATTRIBUTE_PACKET,   /* an IKE message, with its non-ESP marker where it has one */
	KMP_ATTRIBUTE_DSCP,     /* 8 bits */
	/* of a hand-over: */
	KMP_ATTRIBUTE_FORMAT,      /* 32 bits: of what is handed over */
	KMP_ATTRIBUTE_OWNER,       /* 32 bits */
	KMP_ATTRIBUTE_VLAN,        /* 16 bits */
	KMP_ATTRIBUTE_IS_UP,       /* 8 bits */
	KMP_ATTRIBUTE_PAST,        /* KMP_PAST_SIZE bytes: how far an SA has gone */
	KMP_ATTRIBUTE_CONNECTIONS, /* of KMP_CONNECTION_SIZE bytes each */
	KMP_ATTRIBUTE_COUNT,
};

enum kmp_code {
	KMP_OK,
	KMP_MALFORMED, /* lengths, magic, flags */
	KMP_WRONG_VERSION,
	KMP_UNKNOWN_TYPE,      /* or one that the other end sends */
	KMP_UNKNOWN_ATTRIBUTE, /* or one that has no place in the message */
	KMP_DUPLICATE_ATTRIBUTE,
	KMP_MISSING_ATTRIBUTE,
	KMP_BAD_VALUE,
	KMP_WRONG_SEQUENCE,
	KMP_WRONG_STATE, /* not before WELCOME, or not after it */
	KMP_DENIED,      /* the proof is wrong */
	KMP_BUSY,        /* too many attempts; later */
	KMP_NOT_FOUND,
	KMP_EXISTS,
	KMP_NOT_SUPPORTED,
	KMP_NO_ROOM,
	KMP_FAILED,
	KMP_CODE_COUNT,
};

/* Transform identifiers of IKEv2 (IANA). */
enum kmp_cipher {
	KMP_CIPHER_NULL = 11,
	KMP_CIPHER_AES_CBC = 12,
	KMP_CIPHER_AES_CTR = 13,
	KMP_CIPHER_AES_GCM_16 = 20,
	KMP_CIPHER_AES_GMAC = 21,
	KMP_CIPHER_CHACHA20_POLY1305 = 28,
};

enum kmp_integrity {
	KMP_INTEGRITY_NONE = 0,
	KMP_INTEGRITY_HMAC_SHA1_96 = 2,
	KMP_INTEGRITY_HMAC_SHA2_256_128 = 12,
	KMP_INTEGRITY_HMAC_SHA2_384_192 = 13,
	KMP_INTEGRITY_HMAC_SHA2_512_256 = 14,
};

enum kmp_direction { KMP_INBOUND, KMP_OUTBOUND };
enum kmp_policy_direction { KMP_POLICY_INBOUND, KMP_POLICY_FORWARD, KMP_POLICY_OUTBOUND };
enum kmp_mode { KMP_TUNNEL, KMP_TRANSPORT };
enum kmp_action { KMP_DISCARD, KMP_BYPASS, KMP_PROTECT };

enum kmp_sa_flag {
	KMP_SA_ESN = 1 << 0,
	KMP_SA_ENCAPSULATION = 1 << 1, /* in UDP (RFC 3948), between the two ports */
	KMP_SA_COPY_DF = 1 << 2,       /* RFC 4301 section 5.1.2 */
	KMP_SA_COPY_ECN = 1 << 3,
	KMP_SA_COPY_DSCP = 1 << 4,
	KMP_SA_FLAGS = (1 << 5) - 1,
};

struct kmp_address {
	uint8_t version;   /* 4, 6; 0: none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

/* Of 0: none. */
struct kmp_lifetime {
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	uint32_t soft_s, hard_s;
};

/* version, protocol (0: any), the four ports, the four addresses of 16 bytes each. */
#define KMP_SELECTOR_SIZE 74
struct kmp_selector {
	struct kmp_address source_first, source_last, destination_first, destination_last;
	uint8_t protocol;
	uint16_t source_port_first, source_port_last; /* ICMP: type << 8 | code */
	uint16_t destination_port_first, destination_port_last;
};

/* What names an SA: its SPI and the destination of its outer header. */
struct kmp_sa_name {
	uint32_t spi;
	struct kmp_address destination;
};

struct kmp_sa {
	struct kmp_sa_name name;
	struct kmp_address source;
	enum kmp_direction direction;
	enum kmp_mode mode;
	uint16_t cipher;           /* enum kmp_cipher */
	uint16_t integrity;        /* enum kmp_integrity */
	const uint8_t *cipher_key; /* with its salt or nonce behind it; borrowed */
	uint16_t cipher_key_size;
	const uint8_t *integrity_key;
	uint16_t integrity_key_size;
	uint32_t flags;         /* enum kmp_sa_flag */
	uint16_t replay_window; /* 0: none, outbound */
	uint16_t source_port, destination_port;
	uint32_t request; /* reqid */
	struct kmp_lifetime lifetime;
	uint16_t selector_count; /* 0: as its policies say */
	struct kmp_selector selectors[KMP_SELECTORS_MAX];
};

struct kmp_move {
	struct kmp_sa_name name;
	struct kmp_address new_source, new_destination;
	bool has_encapsulation;
	uint16_t source_port, destination_port;
};

struct kmp_policy {
	enum kmp_policy_direction direction;
	enum kmp_action action;
	struct kmp_selector selector;
	uint32_t priority; /* the least is asked first */
	/* KMP_PROTECT: */
	enum kmp_mode mode;
	uint32_t request;
	uint32_t spi;                           /* 0: none yet */
	struct kmp_address source, destination; /* outer, of a tunnel; of version 0: none */
};

struct kmp_usage {
	uint64_t bytes, packets;
	uint64_t idle_s; /* since the last packet; UINT64_MAX: none yet */
};

/* spi, request, owner, direction, mode, flags (16 bits), ports, version, three zeros, source,
 * destination. */
#define KMP_SA_ENTRY_SIZE 56
#define KMP_SAS_MAX       200 /* of one answer */
struct kmp_sa_entry {
	struct kmp_sa_name name;
	struct kmp_address source;
	enum kmp_direction direction;
	enum kmp_mode mode;
	uint16_t flags;
	uint16_t source_port, destination_port;
	uint32_t request;
	uint32_t owner; /* a number that is the same for the same client */
};

struct kmp_stats {
	uint64_t sessions, requests, refused, malformed, denied;
	uint64_t events, events_repeated, events_lost, taken_over, expired;
};

/* sequence, floor, IV base, packets, bytes, age in ms: 64 bits each; flags: bit 0: the soft
 * lifetime was told. */
#define KMP_PAST_SIZE 49

/* client (16 bytes), its port, our port, VIPA, target (16 bits each, the last two by their order in
 * the hand-over), protocol, state, flags, zero (8 bits each), acknowledged, packets (32 bits). */
#define KMP_CONNECTION_SIZE 36
#define KMP_CONNECTIONS_MAX 400 /* of one message */

/* ---- the codec: pure, no allocation, any thread (src/wire/kmp.c) ---- */

/* A message that was decoded; borrows the bytes. */
struct kmp_message {
	uint16_t type;
	uint32_t sequence, acknowledgement, target;
	struct {
		const uint8_t *value; /* NULL: not there */
		uint16_t size;
	} attributes[KMP_ATTRIBUTE_COUNT];
};

/* KMP_OK: type, the set of attributes and their sizes are right for each other. Otherwise why not;
 * out->sequence is the message's as far as there is a header, else 0. */
enum kmp_code kmp_decode(const void *bytes, size_t size, struct kmp_message *out);
bool kmp_is_from_client(uint16_t type);
bool kmp_is_event(uint16_t type);
/* For people: "SA_ADD", "not found"; borrowed, never NULL. */
const char *kmp_type_name(uint16_t type);
const char *kmp_code_text(unsigned int code);

/* Of an attribute that is there, by its size; 0 when it is not. */
uint64_t kmp_get_number(const struct kmp_message *message, enum kmp_attribute attribute);
/* Of version 0 when it is not there. */
struct kmp_address kmp_get_address(const struct kmp_message *message, enum kmp_attribute attribute);
/* Terminated; "" when it is not there. room: KMP_TEXT_MAX + 1 is enough for each. */
void kmp_get_text(
	const struct kmp_message *message, enum kmp_attribute attribute, char *out, size_t room);

/* A message that is being written; one that does not fit stays failed. */
struct kmp_writer {
	uint8_t *out;
	size_t room, size;
	bool has_failed;
};
void kmp_begin(struct kmp_writer *writer, void *out, size_t room, enum kmp_type type,
	uint32_t sequence, uint32_t acknowledgement);
void kmp_put(
	struct kmp_writer *writer, enum kmp_attribute attribute, const void *value, size_t size);
void kmp_put_number(
	struct kmp_writer *writer, enum kmp_attribute attribute, size_t size, uint64_t value);
void kmp_put_address(
	struct kmp_writer *writer, enum kmp_attribute attribute, const struct kmp_address *address);
/* Bytes of the message; 0: it did not fit. */
size_t kmp_end(struct kmp_writer *writer);

/* The parts of messages. kmp_get_*: KMP_OK, or KMP_BAD_VALUE when a value is out of its range, and
 * out is then not to be used. Keys in it are borrowed from the message. */
void kmp_put_name(struct kmp_writer *writer, const struct kmp_sa_name *name);
void kmp_put_sa(struct kmp_writer *writer, const struct kmp_sa *sa);
void kmp_put_move(struct kmp_writer *writer, const struct kmp_move *move);
void kmp_put_policy(struct kmp_writer *writer, const struct kmp_policy *policy);
void kmp_put_selectors(
	struct kmp_writer *writer, const struct kmp_selector *selectors, size_t count);
void kmp_put_usage(struct kmp_writer *writer, const struct kmp_usage *usage);
void kmp_put_entries(struct kmp_writer *writer, const struct kmp_sa_entry *entries, size_t count);
void kmp_put_stats(struct kmp_writer *writer, const struct kmp_stats *stats);
enum kmp_code kmp_get_name(const struct kmp_message *message, struct kmp_sa_name *out);
enum kmp_code kmp_get_sa(const struct kmp_message *message, struct kmp_sa *out);
enum kmp_code kmp_get_move(const struct kmp_message *message, struct kmp_move *out);
enum kmp_code kmp_get_policy(const struct kmp_message *message, struct kmp_policy *out);
/* At most max; out->selector_count and the like have how many. */
enum kmp_code kmp_get_selectors(
	const struct kmp_message *message, struct kmp_selector *out, size_t max, uint16_t *count);
enum kmp_code kmp_get_usage(const struct kmp_message *message, struct kmp_usage *out);
/* out: KMP_SAS_MAX of them. */
enum kmp_code kmp_get_entries(
	const struct kmp_message *message, struct kmp_sa_entry *out, size_t *count);
enum kmp_code kmp_get_stats(const struct kmp_message *message, struct kmp_stats *out);

/* ---- who is who (src/wire/kmp_proof.c) ---- */

/* Letters, digits, . _ -; 1 to KMP_NAME_MAX of them. */
bool kmp_name_is_valid(const char *name);

/* The text of a secret file: one line of hexadecimal digits, two for each of KMP_SECRET_MIN to
 * KMP_SECRET_MAX bytes; # begins a comment. 0 or -EINVAL; nothing of the text gets anywhere else.
 */
int kmp_secret_parse(
	const char *text, size_t size, uint8_t out[KMP_SECRET_MAX], size_t *secret_size);

enum kmp_prover { KMP_PROVER_CLIENT, KMP_PROVER_SERVER };
/* HMAC-SHA-256 with the secret over "bulkhead KMP 1 client" or "... server" and its terminating
 * zero, the client's nonce, the server's nonce, the name. 0 or -EIO. */
int kmp_proof(const uint8_t *secret, size_t secret_size, enum kmp_prover prover,
	const uint8_t client_nonce[KMP_NONCE_SIZE], const uint8_t server_nonce[KMP_NONCE_SIZE],
	const char *name, uint8_t out[KMP_PROOF_SIZE]);

/* ---- the client library (lib/kmp.c): blocking; one thread at a time per connection ---- */

#define BULKHEAD_KMP_SOCKET "/run/bulkhead/kmp.sock"

struct bulkhead_kmp;

struct bulkhead_kmp_error {
	int code;          /* enum kmp_code when bulkheadd refused (-EREMOTEIO); 0 otherwise */
	char message[512]; /* for people */
};

/* Whole messages, in order. Functions return 0 or a negative errno; -ECONNRESET: the other end is
 * gone. */
struct kmp_transport {
	int (*send)(void *context, const void *message, size_t size);
	/* Waits up to timeout_ms (-1: for ever). -ETIMEDOUT; -EMSGSIZE: larger than room. */
	int (*receive)(void *context, void *message, size_t room, int timeout_ms, size_t *size);
	int (*descriptor)(void *context); /* to poll(2) for input */
	void (*close)(void *context);
};

struct bulkhead_kmp_options {
	const char *socket;      /* NULL: BULKHEAD_KMP_SOCKET */
	const char *secret_file; /* not readable by others */
	const char *name;
	bool resumes;            /* what this name brought before is still known */
	unsigned int timeout_ms; /* of each call; 0: 5 s */
	/* Instead of the socket; closed with the connection, also when the opening fails. */
	const struct kmp_transport *transport;
	void *transport_context;
};

/*
 * 0 or a negative errno, with error filled. -EACCES: the secret file, or the proof, was refused.
 * Of all functions: -EREMOTEIO: bulkheadd refused, error->code says why, and the connection goes
 * on; others: the connection has failed, and is only to be closed.
 */
int bulkhead_kmp_open(const struct bulkhead_kmp_options *options, struct bulkhead_kmp **out,
	struct bulkhead_kmp_error *error);
/* NULL is allowed. What the name brought stays for the time of grace. */
void bulkhead_kmp_close(struct bulkhead_kmp *kmp);
/* Takes back all that the name brought. */
int bulkhead_kmp_bye(struct bulkhead_kmp *kmp, struct bulkhead_kmp_error *error);
uint32_t bulkhead_kmp_grace_ms(const struct bulkhead_kmp *kmp);
/* False: bulkheadd has nothing of what this name brought (any more): all has to be brought again.
 */
bool bulkhead_kmp_has_resumed(const struct bulkhead_kmp *kmp);

int bulkhead_kmp_ping(struct bulkhead_kmp *kmp, struct bulkhead_kmp_error *error);
/* destination: ours, of the inbound SA that is being negotiated. */
int bulkhead_kmp_get_spi(struct bulkhead_kmp *kmp, const struct kmp_address *destination,
	uint32_t *spi, struct bulkhead_kmp_error *error);
int bulkhead_kmp_sa_add(
	struct bulkhead_kmp *kmp, const struct kmp_sa *sa, struct bulkhead_kmp_error *error);
int bulkhead_kmp_sa_update(
	struct bulkhead_kmp *kmp, const struct kmp_move *move, struct bulkhead_kmp_error *error);
int bulkhead_kmp_sa_delete(
	struct bulkhead_kmp *kmp, const struct kmp_sa_name *name, struct bulkhead_kmp_error *error);
int bulkhead_kmp_sa_query(struct bulkhead_kmp *kmp, const struct kmp_sa_name *name,
	struct kmp_usage *usage, struct bulkhead_kmp_error *error);
int bulkhead_kmp_policy_add(struct bulkhead_kmp *kmp, const struct kmp_policy *policy,
	struct bulkhead_kmp_error *error);
int bulkhead_kmp_policy_delete(struct bulkhead_kmp *kmp, const struct kmp_policy *policy,
	struct bulkhead_kmp_error *error);
/* One page of the SAs of this name, or of all: *after is 0 before the first and after the last. */
int bulkhead_kmp_list(struct bulkhead_kmp *kmp, bool is_all, uint32_t *after,
	struct kmp_sa_entry entries[KMP_SAS_MAX], size_t *count, struct bulkhead_kmp_error *error);
int bulkhead_kmp_stats(
	struct bulkhead_kmp *kmp, struct kmp_stats *stats, struct bulkhead_kmp_error *error);

struct kmp_event {
	uint16_t type; /* KMP_SA_EXPIRE, KMP_SA_ACQUIRE, KMP_MAPPING_CHANGED, KMP_OVERRUN */
	uint32_t sequence;
	struct kmp_sa_name name; /* SA_EXPIRE, MAPPING_CHANGED */
	bool is_hard;
	uint32_t request;             /* SA_ACQUIRE */
	struct kmp_selector selector; /* SA_ACQUIRE: the packet */
	struct kmp_address source;    /* MAPPING_CHANGED: where the peer is now */
	uint16_t source_port;
	uint32_t lost; /* OVERRUN */
};

/* The next event; waits up to timeout_ms (-1: for ever). -ETIMEDOUT: none came. */
int bulkhead_kmp_next_event(struct bulkhead_kmp *kmp, int timeout_ms, struct kmp_event *event,
	struct bulkhead_kmp_error *error);
/* That the event, and all before it, were dealt with; until then they may come again in another
 * connection. */
int bulkhead_kmp_acknowledge(
	struct bulkhead_kmp *kmp, const struct kmp_event *event, struct bulkhead_kmp_error *error);
/* To poll(2) for input; has_event tells of what was read already. */
int bulkhead_kmp_descriptor(const struct bulkhead_kmp *kmp);
bool bulkhead_kmp_has_event(const struct bulkhead_kmp *kmp);
