//! Why something from a peer or a client is not taken: one flat list, counted by
//! cause and shown to operators.

/// One variant for each cause. What is rejected has no effect but this count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reject {
    // What the verifier finds, without any state.
    /// The bytes are no message, or not the canonical ones of it.
    Malformed,
    /// An author that the genesis doesn't list.
    UnknownAuthor,
    /// A signature that is not its author's.
    BadSignature,
    /// Signed by a replica that has not this role in that view.
    WrongRole,
    /// A number or view that no message may name.
    OutOfRange,
    /// More items, operations or bytes than the genesis allows.
    TooLarge,
    /// The batch doesn't hash to the digest beside it.
    WrongDigest,
    /// A certificate with too few, too many, doubled or unordered members.
    BadCertificate,
    /// A view-change whose parts don't fit together.
    BadViewChange,
    /// A new view that doesn't follow from the view-changes it shows.
    BadNewView,
    /// A record of evidence in which nothing conflicts.
    NoConflict,

    // What the replica finds, against its state.
    /// It says that it comes from whom it doesn't.
    NotFromAuthor,
    /// One's own message, come back.
    FromSelf,
    /// About a view that is over.
    OldView,
    /// About a view that this replica hasn't entered.
    FutureView,
    /// This replica has asked for another view and votes no more in this one.
    ChangingViews,
    /// At or below the stable checkpoint.
    BelowWindow,
    /// Further above the stable checkpoint than the window reaches.
    AboveWindow,
    /// Counted already.
    Duplicate,
    /// A second, different vote for one place; the two are kept as evidence.
    Conflict,
    /// Not what the new view chose for this number.
    NotChosen,
    /// A batch in which a request is not signed by its client, or stands twice, or which
    /// is over the limits.
    ForgedRequest,
    /// A proposed time too far from this replica's clock, with nobody to vouch for it.
    BadTime,
    /// Fill-ups faster than anybody needs them.
    FillUpTooSoon,
    /// An incarnation that doesn't count for this number.
    WrongIncarnation,
    /// A body or part that nobody here asked for.
    Unrequested,
    /// A part of the state that is not what the certificate says.
    WrongPart,
    /// Asked for more, or more often, than the quota allows.
    OverQuota,
    /// Asked for what is not here, or not any more.
    NotHere,
    /// This replica cannot answer yet: it is starting, recovering, or behind.
    NotReady,
    /// A client that is not listed.
    UnknownClient,
    /// A request number beyond what the client may have outstanding.
    BeyondWindow,
    /// A request that the client has acknowledged already.
    Acknowledged,
    /// A number of an answer that nobody asked for.
    WrongNonce,
    /// A certificate that is no news.
    OldCertificate,
}
