/* The receive and the send of a connection: what was read and how far, when a message departs.
 *
 * Each does the usual in C (all that was asked for is there, all that is to be sent fits) and leaves
 * the rest to a Python function, which waits as the driver would have. The descriptor is asked for
 * each time: of a socket that was closed it is -1, and its number may be another's already.
 */

static int descriptor_of(PyObject *socket)
{
    PyObject *number = PyObject_CallMethodNoArgs(socket, fileno_name);
    int descriptor = number ? (int)PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    PyErr_Clear();
    return descriptor;
}

/* Whether a receive or a send that failed has to wait. What else it failed of is told at once: the
 * kernel tells it only once. */
static int has_to_wait(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/* Receive: (size) -> bytes. `slow` does the same in Python, and counts for itself. */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *socket, *slow;
    Link *link;
    char stamped; /* the kernel's stamp is wanted of every frame that may hold a body */
    char green;   /* as eventlet has it, a connection that was cut is at its end */
} Receive;

static ssize_t receive_stamped(int descriptor, void *data, size_t size, Link *link)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = { data, size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
                              .msg_controllen = sizeof room };
    ssize_t count = recvmsg(descriptor, &message, MSG_DONTWAIT);
    struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
        link->stamp = (uint64_t)stamp.tv_sec * SECOND + (uint64_t)stamp.tv_nsec;
    }
    return count;
}

static PyObject *receive_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Receive *self = (Receive *)callable;
    Py_ssize_t size = PyVectorcall_NARGS(flags) == 1 && names == NULL && PyLong_CheckExact(args[0])
                          ? PyLong_AsSsize_t(args[0])
                          : -1;
    int descriptor = size > 0 ? descriptor_of(self->socket) : -1;
    PyObject *bytes = descriptor >= 0 ? PyBytes_FromStringAndSize(NULL, size) : NULL;
    if (bytes == NULL) {
        PyErr_Clear();
        return PyObject_Vectorcall(self->slow, args, flags, names);
    }
    char *data = PyBytes_AS_STRING(bytes);
    int with_stamp = size == PAYLOAD_OF_A_CONFIRM || (self->stamped && size >= SMALL_PAYLOAD);
    ssize_t count;
    Py_BEGIN_ALLOW_THREADS
    count = with_stamp ? receive_stamped(descriptor, data, (size_t)size, self->link)
                       : recv(descriptor, data, (size_t)size, MSG_DONTWAIT);
    Py_END_ALLOW_THREADS
    if (count < 0 && self->green && (errno == ECONNRESET || errno == EPIPE))
        count = 0;
    if (count < 0) {
        int waits = has_to_wait();
        if (!waits)
            PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(bytes);
        return waits ? PyObject_Vectorcall(self->slow, args, flags, names) : NULL;
    }
    if (size == 1)
        self->link->read = now();
    self->link->offset += (unsigned long long)count;
    if (count != size)
        _PyBytes_Resize(&bytes, count);
    return bytes;
}

/* No tp_clear here and below: a cycle has to go through Python's own objects, which have one. */
static void receive_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Receive *)self)->socket);
    Py_XDECREF(((Receive *)self)->slow);
    Py_XDECREF(((Receive *)self)->link);
    PyObject_GC_Del(self);
}

static int receive_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Receive *)self)->socket);
    Py_VISIT(((Receive *)self)->slow);
    Py_VISIT(((Receive *)self)->link);
    return 0;
}

static PyTypeObject ReceiveType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Receive",
    .tp_basicsize = sizeof(Receive),
    .tp_dealloc = receive_dealloc,
    .tp_traverse = receive_traverse,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Receive, call),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL
                | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* Write: (data) -> None. `plain` sends what is no message's, `rest` what did not fit at once:
 * rest(record, data, sent, entered_ns). */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Stamps *stamps;
    PyObject *socket, *plain, *rest;
} Write;

static PyObject *write_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Write *self = (Write *)callable;
    Py_buffer data;
    Record *record = self->stamps->broken ? NULL : record_in(self->stamps->sending);
    if (record == NULL || record->row[CONFIRM] || PyVectorcall_NARGS(flags) != 1
        || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        Py_XDECREF(record);
        return PyObject_Vectorcall(self->plain, args, flags, names);
    }
    int descriptor = descriptor_of(self->socket);
    record->row[CPU_DEPART] = thread_cpu(self->stamps);
    uint64_t entered = now();
    ssize_t sent = -1;
    if (descriptor >= 0) {
        Py_BEGIN_ALLOW_THREADS
        sent = send(descriptor, data.buf, (size_t)data.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        Py_END_ALLOW_THREADS
    }
    int failed = descriptor >= 0 && sent < 0 && !has_to_wait();
    if (failed)
        PyErr_SetFromErrno(PyExc_OSError);
    Py_ssize_t length = data.len;
    PyBuffer_Release(&data);
    PyObject *value = NULL;
    if (sent == length) {
        go_on(self->stamps, record, self->stamps->places[record->side][DEPART]);
        record->row[DEPART] = entered;
        self->stamps->made++;
        value = Py_NewRef(Py_None);
    } else if (!failed) {
        /* Without a descriptor nothing was tried. */
        value = PyObject_CallFunction(self->rest, "OOnK", record, args[0], (Py_ssize_t)(sent < 0 ? 0 : sent),
                                      descriptor < 0 ? 0ull : (unsigned long long)entered);
    }
    Py_DECREF(record);
    return value;
}

static void write_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Write *)self)->stamps);
    Py_XDECREF(((Write *)self)->socket);
    Py_XDECREF(((Write *)self)->plain);
    Py_XDECREF(((Write *)self)->rest);
    PyObject_GC_Del(self);
}

static int write_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Write *)self)->socket);
    Py_VISIT(((Write *)self)->plain);
    Py_VISIT(((Write *)self)->rest);
    return 0;
}

static PyTypeObject WriteType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Write",
    .tp_basicsize = sizeof(Write),
    .tp_dealloc = write_dealloc,
    .tp_traverse = write_traverse,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Write, call),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL
                | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};
